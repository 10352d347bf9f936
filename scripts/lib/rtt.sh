# shellcheck shell=bash
# scripts/bench rtt: measures foliofs and sshfs through a proxy that delays every byte by half of the round
# trip, and counts the requests that foliofs makes. rtt_report.py shows the results.
# Needs common.sh, mounts.sh, peers.sh, workloads.sh and a work directory.

# shellcheck disable=SC2016 # what stands in single quotes is for jq, awk and inner shells

set_rtt_sizes() { # QUICK
  sequential_mib=256 tree_files=300 work_limit_s=300 read_limit_s=20
  if [[ $1 == yes ]]; then
    sequential_mib=64 tree_files=100
    : "${rtts:=0,10}"
  fi
  : "${rtts:=0,1,10,50}"
}

check_rtts() {
  local each
  IFS=, read -ra rtt_list <<<"$rtts"
  for each in "${rtt_list[@]}"; do
    [[ $each =~ ^[0-9]{1,3}$ ]] || die_usage "--rtt wants milliseconds, as 0,1,10,50, not '$rtts'"
  done
}

# --- the network: a proxy in front of the peer's server ---------------------------------------------

start_delay() { # MS
  start_listener "$work_dir/proxy.log" "$proxy" @PORT@ "$listener_port"
  local answer
  exec 9<>"/dev/tcp/127.0.0.1/$((listener_port + 1))"
  printf 'delay_us %s\n' $(($1 * 500)) >&9
  read -r -t 10 answer <&9 || die "the proxy does not answer"
  exec 9>&-
  [[ $answer == ok* ]] || die "the proxy says: $answer"
}

start_delayed_foliofs() { # MS
  start_foliofsd "$export_dir"
  start_delay "$1"
  foliofsd_port=$listener_port
}

start_delayed_sshfs() { # MS
  start_sshd
  start_delay "$1"
  sed -i "s/^  Port .*/  Port $listener_port/" "$work_dir/ssh/ssh_config"
  sed -i "s/^\[127.0.0.1\]:[0-9]*/[127.0.0.1]:$listener_port/" "$work_dir/ssh/known_hosts"
}

# --- requests ---------------------------------------------------------------------------------------

count_requests() { # FILE: gets the number of requests of each kind since the mount
  if [[ $peer == foliofs ]]; then
    # Waits for the requests that close(2) does not wait for.
    sleep "$(awk -v ms="$rtt_ms" 'BEGIN { print 0.1 + ms * 4 / 1000 }')"
    bounded 20 "$foliofs" stats "$mnt" --json | jq -e '.rpc | map_values(.count)' >"$1"
  fi
}

# Runs one workload, and records its figure and the requests that it has made.
observe() { # WORKLOAD FUNCTION ARG…
  local workload=$1
  shift
  count_requests "$work_dir/before.json"
  "$@"
  count_requests "$work_dir/after.json"
  if [[ $peer == foliofs ]]; then
    jq -c -n --arg workload "$workload" --argjson rtt_ms "$rtt_ms" --slurpfile before "$work_dir/before.json" \
      --slurpfile after "$work_dir/after.json" '{workload: $workload, rtt_ms: $rtt_ms,
        requests: ($after[0] | with_entries(.value -= ($before[0][.key] // 0)) | with_entries(select(.value > 0)))}' \
      >>"$work_dir/requests.jsonl"
  fi
}

# Runs in a subshell (attempt).
run_delayed() { # PEER MS
  local data
  peer=$1 rtt_ms=$2 export_dir=$work_dir/export.$1 mnt=$work_dir/mnt.$1
  record() { printf '%s\t%s\t%s\t%s\n' "$1" "$peer" "$rtt_ms" "$2" >>"$work_dir/delayed.tsv"; }
  mkdir "$export_dir"
  on_exit rm -rf --one-file-system "$export_dir"
  "start_delayed_$peer" "$rtt_ms"
  mount_peer
  mapfile -t data < <(on_data)
  observe seq_write measure_fio seq_write "$written" --rw=write --bs=1M --end_fsync=1 "${data[@]}"
  observe untar measure_files untar "$tree_files" 'mkdir "$1/tree" && tar -C "$1/tree" -xf "$2/tree.tar"'
  remount_cold
  observe seq_read measure_fio seq_read "$was_read" --rw=read --bs=1M --invalidate=0 --runtime="$read_limit_s" "${data[@]}"
  remount_cold
  observe ls_cold measure_files ls_cold "$tree_files" 'ls -lR "$1/tree" >/dev/null'
  remount_cold
  observe tree_read_cold measure_files tree_read_cold "$tree_files" \
    'find "$1/tree" -type f -print0 | xargs -0 cat >/dev/null'
  observe rm measure_files rm "$tree_files" 'rm -rf "$1/tree"'
  unmount_peer
}

measure_round_trips() { # ROUNDS COMMAND_LINE
  local round each ms began=$SECONDS report=$root_dir/scripts/lib/rtt_report.py
  [[ -x $proxy ]] || die "no foliofs-proxy in $build_dir/tests/proxy; build it there first"
  touch "$work_dir/delayed.tsv" "$work_dir/failures.tsv" "$work_dir/requests.jsonl"
  make_tree
  for ((round = 1; round <= $1; round++)); do
    for ms in "${rtt_list[@]}"; do
      for each in foliofs sshfs; do
        note "round $round of $1: $each at $ms ms"
        attempt "$work_dir/attempt.log" run_delayed "$each" "$ms"
        ((attempt_status == 0)) || die "$each at $ms ms: $(last_line "$work_dir/attempt.log")"
      done
    done
  done
  jq -n --arg command "$2" --argjson rounds "$1" --argjson took_s $((SECONDS - began)) --arg options "$foliofs_options" \
    --arg version "$("$foliofs" --version)$(git -C "$root_dir" log -1 --format=' (%h)' 2>/dev/null || true)" \
    --argjson files "$tree_files" --argjson directories "$(sed 's#/[^/]*$##' "$work_dir/tree.list" | sort -u | wc -l)" \
    --argjson sequential_mib "$sequential_mib" \
    '$ARGS.named' >"$work_dir/about.json"
  python3 "$report" "$work_dir/delayed.tsv" "$work_dir/requests.jsonl" "$work_dir/about.json" >"$work_dir/rtt.json" ||
    die "cannot make sense of the figures"
  python3 "$report" --table "$work_dir/rtt.json"
  keep_results "$work_dir/rtt.json" none
}
