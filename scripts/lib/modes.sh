# shellcheck shell=bash
# Measures the three invalidation modes side by side, each with the same amount of dirty data and the same
# concurrent writer. Needs common.sh, mounts.sh, a running foliofsd and a mount with room for dirty data.

mode_dirty_bytes=$((64 << 20))

# Enough room that foliofs writes nothing back before the invalidation, unless dirty data gets too old.
mode_old_us=4500000 # a little less than the age at which foliofs starts writeback on its own
mode_mount_options=cache_size=512m,dirty_background=256m,dirty_limit=384m

build_rewriter() {
  "${CXX:-g++}" -std=c++20 -O2 -o "$work_dir/rewriter" "$root_dir/scripts/lib/rewriter.cpp" ||
    die "cannot compile scripts/lib/rewriter.cpp"
}

dirty_bytes() { # MNT
  bounded 20 "$foliofs" stats "$1" --json | jq -e '.cache.dirty_bytes'
}

is_ready() { [[ $(last_line "$1") == ready ]]; }

ready_or_gone() { is_ready "$1" || is_gone "$2"; } # LOG PID

# Measures one mode; writes its JSON to $work_dir/mode.MODE.json. Dies if any result is wrong.
measure_mode() { # MNT EXPORT_DIR MODE
  local mnt=$1 export_dir=$2 mode=$3
  local name=modes.$mode log=$work_dir/rewriter.$mode.log copy=$work_dir/rewriter.$mode.copy
  local result=$work_dir/mode.$mode.json rewriter_pid began dirty written
  bounded 20 "$foliofs" set "$mnt" "invalidate=$mode" || die "cannot switch the mount to $mode"

  began=$(now_us)
  "$work_dir/rewriter" "$mnt/$name" "$copy" "$mode_dirty_bytes" >"$log" 2>&1 &
  rewriter_pid=$!
  on_exit stop_process "$rewriter_pid"
  wait_until 120 ready_or_gone "$log" "$rewriter_pid" || die "$mode: the writer has not filled its file after 120 s"
  is_ready "$log" || die "$mode: the writer failed: $(last_line "$log")"
  sleep 0.2 # lets the writer go on from filling to rewriting

  dirty=$(dirty_bytes "$mnt") || die "$mode: foliofs stats gives no count of dirty bytes"
  ((dirty > 0)) || die "$mode: nothing is dirty although a program is writing"
  bounded 120 "$foliofs" invalidate "$mnt/$name" --json >"$result" 2>"$result.err" ||
    die "$mode: foliofs invalidate failed: $(last_line "$result.err") $(jq -c . "$result" 2>/dev/null)"
  jq -e --arg mode "$mode" '.mode == $mode and .error == null' "$result" >/dev/null ||
    die "$mode: wrong mode or an error in $(jq -c . "$result")"
  written=$(jq -e .bytes_written "$result") || die "$mode: no count of bytes in $(jq -c . "$result")"
  if (($(now_us) - began < mode_old_us)); then
    ((dirty >= mode_dirty_bytes)) || die "$mode: only $dirty bytes are dirty, $mode_dirty_bytes were expected"
    ((written >= dirty)) || die "$mode: $dirty bytes were dirty and $written were written"
  else
    note "$mode: this machine took so long that foliofs began to write by itself"
  fi
  jq -e '.write_calls > 0 and .bytes_written > 0' "$result" >/dev/null || die "$mode: nothing was written: $(jq -c . "$result")"

  kill -TERM "$rewriter_pid"
  wait "$rewriter_pid" || die "$mode: the writer failed: $(last_line "$log")"
  cmp -s "$copy" "$export_dir/$name" || die "$mode: after close, $name on the server is not what was written"
  jq -s --argjson dirty "$dirty" '.[0] + {dirty_bytes: $dirty, rewrites: .[1].rewrites, rewrite_us_max: .[1].longest_us}' \
    "$result" <(tail -n 1 "$log") >"$result.full"
  mv "$result.full" "$result"
  rm -f "$copy" "$mnt/$name"
}

# Measures all three and prints the table.
compare_modes() { # MNT EXPORT_DIR
  local mode
  for mode in launder bulk hybrid; do measure_mode "$1" "$2" "$mode"; done
  printf '\n  %-8s %12s %12s %12s %15s %18s\n' mode 'dirty bytes' 'WRITE calls' elapsed 'writer stall' 'longest write(2)'
  for mode in launder bulk hybrid; do
    jq -r '[.mode, .dirty_bytes, .write_calls, .elapsed_us, .writer_stall_us_max, .rewrite_us_max] | @tsv' \
      "$work_dir/mode.$mode.json" | while IFS=$'\t' read -r name dirty calls elapsed stall seen; do
      printf '  %-8s %12s %12s %12s %15s %18s\n' "$name" "$(mebibytes "$dirty")" "$calls" \
        "$(milliseconds "$elapsed")" "$(milliseconds "$stall")" "$(milliseconds "$seen")"
    done
  done
  printf '\n'
  note 'writer stall: the longest that a writer stood still, as foliofs counts it;'
  note 'longest write(2): the same as a program saw it that rewrote the file meanwhile.'
}
