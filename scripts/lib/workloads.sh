# shellcheck shell=bash
# The workloads that every peer runs in one round: fio and plain tools on $mnt. Each figure becomes a line
# "workload peer value" in the samples. Needs common.sh, peers.sh and a work directory.

# shellcheck disable=SC2016 # what stands in single quotes is for fio, jq, awk and inner shells

export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 # git reads no settings of the user or the machine

sequential_mib=512 small_mib=64 random_mib=32 tree_files=3000 streams_mib=256 thread_files=4000
thread_counts=(1 2 4 8 16)
read_limit_s=20 # a peer that reads slowly is stopped after this time, which is enough for its rate
work_limit_s=120

record() { # WORKLOAD VALUE
  printf '%s\t%s\t%s\n' "$1" "$peer" "$2" >>"$work_dir/samples.tsv"
}

# A peer that cannot run a workload runs the others; foliofs has to run them all.
failed() { # WORKLOAD WHY
  [[ $peer != foliofs ]] || die "$1 failed: $2"
  printf '%s\t%s\t%s\n' "$1" "$peer" "$2" >>"$work_dir/failures.tsv"
  if [[ $peer != local ]] && is_gone "$mount_pid"; then die "its daemon has ended in $1: $2"; fi
  printf '    %s: %s failed: %s\n' "$peer" "$1" "$2"
}

# True for a workload that has failed before, and, with the local directory, for one that begins with the
# client's caches empty, because the local directory has no client.
is_skipped() { # WORKLOAD
  if [[ $peer == local ]]; then
    case $1 in *_cold | rand_read_* | read_streams_* | ls_threads_*) return 0 ;; esac
  fi
  grep -q "^$1	$peer	" "$work_dir/failures.tsv"
}

# --- fio -------------------------------------------------------------------------------------------

# Rates over the time from the first call to the end of the last, including the fsync.
written='.write.bw_bytes / 1048576'
was_read='.read.bw_bytes / 1048576'

measure_fio() { # WORKLOAD JQ_RATE FIO_OPTION…
  local workload=$1 rate=$2 value
  shift 2
  if is_skipped "$workload"; then return 0; fi
  bounded "$work_limit_s" fio --name="$workload" --ioengine=psync --fallocate=none --randrepeat=1 --thread --group_reporting \
    --output-format=json --output="$work_dir/fio.json" "$@" >"$work_dir/fio.log" 2>&1 ||
    { failed "$workload" "$(last_line "$work_dir/fio.log")" && return 0; }
  if value=$(jq -e ".jobs[0] | select(.error == 0) | $rate" "$work_dir/fio.json"); then
    record "$workload" "$value"
  else
    failed "$workload" 'fio reports an error'
  fi
}

on_data() { printf -- '--filename=%s\n--size=%sM\n' "$mnt/data" "$sequential_mib"; }

# --- plain tools -----------------------------------------------------------------------------------

# The inner shell has the mount as $1 and the work directory as $2.
run_tools() { # NAME SHELL_COMMAND
  bounded "$work_limit_s" bash -euo pipefail -c "$2" "$1" "$mnt" "$work_dir" >"$work_dir/tools.log" 2>&1 ||
    { failed "$1" "$(head -n 1 "$work_dir/tools.log")" && return 1; }
}

measure_files() { # WORKLOAD FILES SHELL_COMMAND
  local began
  if is_skipped "$1"; then return 0; fi
  began=$(now_us)
  if run_tools "$1" "$3"; then record "$1" "$(awk -v n="$2" -v us=$(($(now_us) - began)) 'BEGIN { printf "%.2f", n * 1e6 / us }')"; fi
}

# --- the parts of a round --------------------------------------------------------------------------

data_writes() {
  local data
  mapfile -t data < <(on_data)
  measure_fio seq_write "$written" --rw=write --bs=1M --end_fsync=1 "${data[@]}"
  measure_fio seq_write_4k "$written" --rw=write --bs=4k --end_fsync=1 --filename="$mnt/small" --size="${small_mib}M"
  measure_fio rand_write_4k '.write.iops' --rw=randwrite --bs=4k --end_fsync=1 --io_size="${random_mib}M" "${data[@]}"
}

data_reads() {
  local data
  mapfile -t data < <(on_data)
  remount_cold
  data+=(--runtime="$read_limit_s")
  measure_fio seq_read_cold "$was_read" --rw=read --bs=1M --invalidate=0 "${data[@]}"
  # Without invalidate=0, fio would drop the file's page cache; for the local directory that is the server's.
  measure_fio seq_reread "$was_read" --rw=read --bs=1M --invalidate=0 --loops=8 "${data[@]}"
  measure_fio rand_reread_4k '.read.iops' --rw=randread --bs=4k --invalidate=0 --loops=2 "${data[@]}"
  remount_cold
  measure_fio rand_read_4k '.read.iops' --rw=randread --bs=4k --invalidate=0 --io_size="${random_mib}M" "${data[@]}"
  remount_cold
  measure_fio rand_read_4k_16 '.read.iops' --rw=randread --bs=4k --invalidate=0 --numjobs=16 --io_size="$((random_mib / 4))M" "${data[@]}"
}

tree_work() {
  local list='ls -lR "$1/tree" >/dev/null' read_all='find "$1/tree" -type f -print0 | xargs -0 cat >/dev/null'
  measure_files untar "$tree_files" 'mkdir "$1/tree" && tar -C "$1/tree" -xf "$2/tree.tar"'
  remount_cold
  measure_files ls_cold "$tree_files" "$list"
  measure_files ls_warm "$tree_files" "$list"
  remount_cold
  measure_files tree_read_cold "$tree_files" "$read_all"
  measure_files tree_read_warm "$tree_files" "$read_all"
  measure_files rm "$tree_files" 'rm -rf "$1/tree"'
}

git_work() {
  local began status='git -C "$1/repository" status'
  if is_skipped git_status; then return 0; fi
  # tar gives the files new inodes, so the first status reads them again; the second finds the caches as the first
  # has left them.
  run_tools git_status "mkdir \"\$1/repository\" && tar -C \"\$1/repository\" -xf \"\$2/repository.tar\" && $status && $status" || return 0
  began=$(now_us)
  run_tools git_status "for _ in 1 2 3 4 5; do $status; done" || return 0
  record git_status "$(awk -v us=$(($(now_us) - began)) 'BEGIN { printf "%.2f", us / 5000 }')"
  run_tools git_status 'rm -rf "$1/repository"' || true
}

# Each stream has its own file; all streams together move the same number of bytes for every count.
parallel_streams() {
  local n
  for n in "${thread_counts[@]}"; do
    mkdir "$mnt/streams$n"
    measure_fio "write_streams_$n" "$written" --rw=write --bs=1M --end_fsync=1 --directory="$mnt/streams$n" \
      --numjobs="$n" --size="$((streams_mib / n))M" --filename_format='$jobnum'
  done
  remount_cold
  for n in "${thread_counts[@]}"; do
    measure_fio "read_streams_$n" "$was_read" --rw=read --bs=1M --invalidate=0 --directory="$mnt/streams$n" \
      --numjobs="$n" --size="$((streams_mib / n))M" --filename_format='$jobnum'
  done
  rm -rf "$mnt"/streams*
}

# Each thread makes files in its own directory, and lists them later when nothing is cached.
parallel_names() {
  local n
  for n in "${thread_counts[@]}"; do
    (mkdir "$mnt/threads$n" && cd "$mnt/threads$n" && seq 0 $((n - 1)) | xargs mkdir)
    measure_fio "create_threads_$n" '.read.iops' --ioengine=filecreate --directory="$mnt/threads$n" --numjobs="$n" \
      --nrfiles="$((thread_files / n))" --filesize=4k --openfiles=1 --file_service_type=sequential \
      --filename_format='$jobnum/$filenum'
  done
  remount_cold
  for n in "${thread_counts[@]}"; do
    measure_files "ls_threads_$n" "$((thread_files / n * n))" \
      'cd "$1/threads'"$n"'"; for each in *; do ls -l "$each" >/dev/null & done; wait'
  done
  rm -rf "$mnt"/threads*
}

# --- all of it -------------------------------------------------------------------------------------

# Packs the first of Boost's headers with their directories: about twelve files in a directory, 7 KB each. No
# symbolic links: sshfs cannot set the times of one, so tar would fail.
make_tree() {
  (cd /usr/include && find boost -type f -size -2048) | LC_ALL=C sort | awk -v most="$tree_files" 'NR <= most' >"$work_dir/tree.list"
  tree_files=$(wc -l <"$work_dir/tree.list")
  ((tree_files > 0)) || die "no headers in /usr/include/boost; run scripts/setup"
  tar -C /usr/include -cf "$work_dir/tree.tar" -T "$work_dir/tree.list"
}

make_repository() {
  (
    mkdir "$work_dir/repository" && cd "$work_dir/repository"
    tar -xf "$work_dir/tree.tar" && git init -q && git add -A
    git -c user.name=bench -c user.email=bench@localhost commit -q -m headers
    tar -cf "$work_dir/repository.tar" .
  )
  rm -rf "$work_dir/repository"
}

begin_peer() { # PEER
  peer=$1 export_dir=$store_dir/$1 mnt=$work_dir/mnt.$1
  mkdir "$export_dir"
  on_exit rm -rf --one-file-system "$export_dir"
  "start_$peer"
  mount_peer
}

# Runs in a subshell (attempt), which ends the server and the mount whatever happens.
run_round() { # PEER
  begin_peer "$1"
  data_writes
  data_reads
  rm -f "$mnt/data" "$mnt/small"
  tree_work
  git_work
  parallel_streams
  parallel_names
  unmount_peer
}
