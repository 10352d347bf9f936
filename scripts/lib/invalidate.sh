# shellcheck shell=bash
# scripts/bench invalidate: what an invalidation costs, cell by cell, with one server, foliofs-proxy as the
# network, and a new mount for each cell. invalidate_plan.py chooses the cells, invalidate_cell.py measures
# one, invalidate_report.py and picture.py show them. Needs common.sh, mounts.sh and a work directory.

lib_dir=$root_dir/scripts/lib
proxy=$build_dir/tests/proxy/foliofs-proxy

invalidate_limit_s=''

set_invalidate_limit() { # SECONDS
  [[ $1 =~ ^[1-9][0-9]{0,3}$ ]] || die_usage "--limit wants seconds from 1 to 9999, not '$1'"
  invalidate_limit_s=$1
}

# In memory when there is room, because the figures are to show the client and the network, not a disk.
make_export_dir() { # -> export_dir
  local room_kib
  room_kib=$(df -k --output=avail /dev/shm 2>/dev/null | tail -n 1) || room_kib=0
  if ((room_kib > 4 << 20)) && export_dir=$(mktemp -d /dev/shm/foliofs-bench.XXXXXX 2>/dev/null); then
    on_exit rm -rf --one-file-system "$export_dir"
  else
    export_dir=$work_dir/export
    mkdir "$export_dir"
  fi
}

# Shows progress: on a terminal in one line that is overwritten, elsewhere in a new line for each cell.
show_progress() { # TEXT
  if [[ -t 2 ]]; then printf '\r\e[K  %s' "$1" >&2; else printf '  %s\n' "$1" >&2; fi
}

time_left() { # DONE_WEIGHT ALL_WEIGHT SECONDS
  awk -v done="$1" -v all="$2" -v took="$3" 'BEGIN {
    if (done <= 0 || took < 3) { print "…"; exit }
    left = (all - done) * took / done
    if (left >= 90) printf "about %.0f min left", left / 60; else printf "about %.0f s left", left }'
}

measure_cell() { # CELL_JSON MOUNT_OPTIONS ROUNDS
  local limit_s=$((invalidate_limit_s * 4))
  mount_foliofs "$mnt" "$2"
  bounded $((limit_s + 120)) python3 "$lib_dir/invalidate_cell.py" "$1" "$mnt" "$export_dir" \
    "$proxy_control_port" "$3" "$limit_s" >>"$work_dir/cells.jsonl" 2>"$work_dir/cell.err" ||
    die "$(last_line "$work_dir/cell.err")"
  unmount_foliofs "$mnt"
}

measure_cells() {
  local cells line cell options rounds weight words count=0 all done_weight=0 began=$SECONDS
  mapfile -t cells <"$work_dir/plan.tsv"
  all=$(awk -F '\t' '{ all += $4 } END { print all }' "$work_dir/plan.tsv")
  for line in "${cells[@]}"; do
    IFS=$'\t' read -r cell options rounds weight words <<<"$line"
    count=$((count + 1))
    show_progress "[$count/${#cells[@]}] $words  $(time_left "$done_weight" "$all" $((SECONDS - began)))"
    measure_cell "$cell" "$options" "$rounds"
    done_weight=$(awk -v a="$done_weight" -v b="$weight" 'BEGIN { print a + b }')
  done
  if [[ -t 2 ]]; then printf '\r\e[K' >&2; fi
}

measure_invalidations() { # ROUNDS QUICK COMMAND_LINE
  [[ -x $proxy ]] || die "no foliofs-proxy in $build_dir/tests/proxy; build it there first"
  local began=$SECONDS size=()
  if [[ $2 == yes ]]; then
    size=(--quick)
    : "${rtts:=0,10}" "${invalidate_limit_s:=5}"
  else
    : "${rtts:=0,1,10}" "${invalidate_limit_s:=60}"
  fi
  python3 "$lib_dir/invalidate_plan.py" --rtt "$rtts" --limit "$invalidate_limit_s" --rounds "$1" "${size[@]}" \
    >"$work_dir/plan.tsv" 2>"$work_dir/plan.err" || die_usage "$(last_line "$work_dir/plan.err")"
  make_export_dir
  head -c "$(cut -f 1 "$work_dir/plan.tsv" | jq -s 'map(.measured_extent_bytes) | max')" /dev/zero >"$export_dir/dirty" ||
    die "no room for the file in $export_dir"
  start_foliofsd "$export_dir"
  start_listener "$work_dir/proxy.log" "$proxy" @PORT@ "$foliofsd_port"
  foliofsd_port=$listener_port # mounts go through the proxy
  proxy_control_port=$((listener_port + 1))
  measure_cells
  python3 "$lib_dir/invalidate_report.py" "$work_dir/cells.jsonl" --command "$3" --rounds "$1" \
    --limit "$invalidate_limit_s" --took $((SECONDS - began)) --export "$(stat -f -c %T "$export_dir")" \
    --version "$("$foliofs" --version)$(git -C "$root_dir" log -1 --format=' (%h)' 2>/dev/null || true)" >"$work_dir/invalidate.json" ||
    die "cannot make sense of the figures"
  python3 "$lib_dir/invalidate_report.py" --table "$work_dir/invalidate.json"
  keep_results "$work_dir/invalidate.json" picture.py
}
