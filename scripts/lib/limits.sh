# shellcheck shell=bash
# What foliofs is compared with besides its peers: the most that /dev/fuse and loopback TCP allow (measured with
# null_fs.cpp and tcp_echo.cpp, which do nothing else), a bound on its memory, and its processor time when idle.
# Needs common.sh, peers.sh and workloads.sh.

echo_s=2 idle_s=10

prepare_limits() {
  local flags
  read -ra flags < <(pkg-config fuse3 --cflags --libs)
  "${CXX:-g++}" -std=c++20 -O2 -o "$work_dir/null_fs" "$root_dir/scripts/lib/null_fs.cpp" "${flags[@]}" ||
    die "cannot compile scripts/lib/null_fs.cpp"
  "${CXX:-g++}" -std=c++20 -O2 -pthread -o "$work_dir/tcp_echo" "$root_dir/scripts/lib/tcp_echo.cpp" ||
    die "cannot compile scripts/lib/tcp_echo.cpp"
}

# --- a filesystem that does nothing, as a peer without the workloads on names -----------------------

start_null() { :; }
mount_null_peer() { start_mount "$mnt" "$work_dir/null.log" "$work_dir/null_fs" "$mnt" "$sequential_mib" 200; }
unmount_null_peer() { end_mount "$mnt" "$mount_pid" fusermount3 -u "$mnt"; }

# Runs in a subshell (attempt).
run_limits() {
  peer='echo'
  bounded $((echo_s * 2 + 20)) "$work_dir/tcp_echo" "$echo_s" >"$work_dir/echo.json" || die "tcp_echo failed"
  record echo_round_trip "$(jq -e .round_trip_us "$work_dir/echo.json")"
  record echo_stream "$(jq -e .stream_mib_s "$work_dir/echo.json")"
  begin_peer null
  data_writes
  data_reads
  unmount_peer
}

# --- memory and idleness ----------------------------------------------------------------------------

cpu_ticks() { # PID
  awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$1/stat"
}

# Runs in a subshell (attempt): measures processor time on a mount that was used before and is then left idle.
run_idle() {
  local before server_before percent='BEGIN { printf "%.2f", (after - before) * 100 / hz / s }'
  begin_peer foliofs
  printf '%s' "$(bounded 20 "$foliofs" stats "$mnt" --json | jq -e .cache.limit_bytes)" >"$work_dir/cache_limit"
  cp "$work_dir/tree.tar" "$mnt/"
  sleep 2
  before=$(cpu_ticks "$mount_pid") server_before=$(cpu_ticks "$listener_pid")
  sleep "$idle_s"
  record idle_client_percent "$(awk -v before="$before" -v after="$(cpu_ticks "$mount_pid")" -v hz="$(getconf CLK_TCK)" -v s="$idle_s" "$percent")"
  record idle_server_percent "$(awk -v before="$server_before" -v after="$(cpu_ticks "$listener_pid")" -v hz="$(getconf CLK_TCK)" -v s="$idle_s" "$percent")"
  unmount_peer
}
