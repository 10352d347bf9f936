# shellcheck shell=bash
# scripts/bench peers: runs the rounds, decides which peers take part, and collects the results. peers_rows.py
# says what foliofs is to reach; peers_report.py and peers_picture.py show the results.
# Needs common.sh, mounts.sh, peers.sh, workloads.sh, limits.sh and a work directory.

compare_store=disk compare_peers=("${peers[@]}") left_out=()

set_compare_sizes() { # quick or not
  if [[ $1 == yes ]]; then
    sequential_mib=128 small_mib=16 random_mib=8 tree_files=1000 streams_mib=64 thread_files=1600
    read_limit_s=5 echo_s=1 idle_s=5
  fi
}

set_compare_peers() { # A,B,…
  local each
  IFS=, read -ra compare_peers <<<"$1"
  ((${#compare_peers[@]})) || die_usage "--only wants peers: ${peers[*]}"
  for each in "${compare_peers[@]}"; do
    [[ " ${peers[*]} " == *" $each "* ]] || die_usage "--only knows ${peers[*]}, not '$each'"
  done
}

takes_part() { [[ " ${compare_peers[*]} " == *" $1 "* ]]; } # PEER

# Continues without PEER and remembers why. foliofs and the null filesystem cannot be left out.
leave_out() { # PEER LOG
  local why others=() each
  why=$(sed -e 's/\x1b\[[0-9;]*m//g' -e 's/^scripts\/[a-z]*: //' "$2" | grep . | tail -n 1 || true)
  [[ $1 != foliofs && $1 != null ]] || die "$1: ${why:-failed}"
  warn "$1 is left out: ${why:-failed}"
  left_out+=("$1"$'\t'"${why:-failed}")
  for each in "${compare_peers[@]}"; do
    if [[ $each != "$1" ]]; then others+=("$each"); fi
  done
  compare_peers=("${others[@]}")
}

# Installs the optional peers; one that cannot be installed is left out.
install_peers() {
  local each log=$work_dir/setup.log
  for each in gluster rclone; do
    if takes_part "$each" && ! "$root_dir/scripts/setup" "--$each" >"$log" 2>&1; then leave_out "$each" "$log"; fi
  done
}

prepare_peers() {
  local each
  for each in "${compare_peers[@]}"; do
    declare -F "prepare_$each" >/dev/null || continue
    attempt "$work_dir/attempt.log" "prepare_$each"
    ((attempt_status == 0)) || leave_out "$each" "$work_dir/attempt.log"
  done
  prepare_limits
}

make_store_dir() { # -> store_dir
  if [[ $compare_store == memory ]]; then
    store_dir=$(mktemp -d /dev/shm/foliofs-bench.XXXXXX) || die "cannot make a directory in /dev/shm"
    on_exit rm -rf --one-file-system "$store_dir"
  else
    store_dir=$work_dir/store
    mkdir "$store_dir"
  fi
}

measure_rounds() { # ROUNDS
  local round each order
  for ((round = 1; round <= $1; round++)); do
    # A different peer goes first in each round.
    order=("${compare_peers[@]:(round - 1) % ${#compare_peers[@]}}" "${compare_peers[@]:0:(round - 1) % ${#compare_peers[@]}}")
    for each in "${order[@]}"; do
      note "round $round of $1: $each"
      attempt "$work_dir/attempt.log" run_round "$each"
      ((attempt_status == 0)) || leave_out "$each" "$work_dir/attempt.log"
    done
    takes_part foliofs || continue
    note "round $round of $1: what the machine gives"
    attempt "$work_dir/attempt.log" run_limits
    ((attempt_status == 0)) || leave_out null "$work_dir/attempt.log"
  done
  if takes_part foliofs; then
    note "an idle mount for $idle_s s"
    attempt "$work_dir/attempt.log" run_idle
    ((attempt_status == 0)) || leave_out foliofs "$work_dir/attempt.log"
  fi
}

about_peers() { # ROUNDS COMMAND_LINE SECONDS
  local each versions='{}'
  for each in "${compare_peers[@]}"; do
    versions=$(jq --arg peer "$each" --arg version "$(peer_version "$each")" '.[$peer] = $version' <<<"$versions")
  done
  printf '%s\n' "${left_out[@]}" | jq -R -s --argjson versions "$versions" --argjson rounds "$1" --arg command "$2" \
    --argjson took_s "$3" --arg options "$foliofs_options" --arg store "$(stat -f -c %T "$store_dir")" \
    --arg version "$("$foliofs" --version)$(git -C "$root_dir" log -1 --format=' (%h)' 2>/dev/null || true)" \
    --argjson cache_limit_bytes "$(cat "$work_dir/cache_limit" 2>/dev/null || echo 0)" \
    --argjson sizes "{\"sequential_mib\": $sequential_mib, \"small_mib\": $small_mib, \"random_mib\": $random_mib,
      \"tree_files\": $tree_files, \"streams_mib\": $streams_mib, \"thread_files\": $thread_files}" '
    {command: $command, version: $version, took_s: $took_s, rounds: $rounds, options: $options,
     export_filesystem: $store, sizes: $sizes, versions: $versions, cache_limit_bytes: $cache_limit_bytes,
     left_out: [split("\n")[] | select(. != "") | split("\t") | {peer: .[0], why: .[1]}]}'
}

measure_peers() { # ROUNDS COMMAND_LINE
  local began=$SECONDS report=$root_dir/scripts/lib/peers_report.py
  touch "$work_dir/samples.tsv" "$work_dir/failures.tsv"
  [[ -w /proc/sys/vm/drop_caches ]] || warn "not root: the kernel's caches stay warm, only the clients are cold"
  install_peers
  prepare_peers
  make_store_dir
  make_tree
  make_repository
  measure_rounds "$1"
  about_peers "$1" "$2" $((SECONDS - began)) >"$work_dir/about.json"
  python3 "$report" "$work_dir/samples.tsv" "$work_dir/failures.tsv" "$work_dir/about.json" >"$work_dir/peers.json" ||
    die "cannot make sense of the figures"
  python3 "$report" --table "$work_dir/peers.json" || exit_status=$?
  keep_results "$work_dir/peers.json" peers_picture.py
}
