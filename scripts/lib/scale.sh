# shellcheck shell=bash
# scripts/bench scale: how long a lookup, a read, an invalidation and a step of reclaim take while the cache
# holds little or much that they do not touch; on real mounts (scale_probe.py) and in the cache alone
# (foliofs-micro). scale_report.py shows the results. Needs common.sh, mounts.sh and a work directory.

micro=$build_dir/tests/micro/foliofs-micro

run_microbenchmarks() { # BENCHMARK_OPTION…
  [[ -x $micro ]] || die "no foliofs-micro in $build_dir/tests/micro; build it there first"
  bounded 1800 "$micro" "$@"
}

# Makes COUNT empty files in the server's directory, 1,000 in each subdirectory.
make_many_files() { # DIR COUNT
  python3 - "$1" "$2" <<'PYTHON'
import os, sys
top, count = sys.argv[1], int(sys.argv[2])
for first in range(0, count, 1000):
    directory = os.path.join(top, f"{first:07}")
    os.makedirs(directory)
    at = os.open(directory, os.O_RDONLY)
    for index in range(min(1000, count - first)):
        os.close(os.open(f"file{index:03}", os.O_CREAT | os.O_WRONLY, 0o644, dir_fd=at))
    os.close(at)
PYTHON
}

probe_scale() { # AXIS COUNT LIMIT_S CACHE_SIZE: probes a new mount
  note "$1: $2"
  mount_foliofs "$mnt" "cache_size=$4,actimeo=3600"
  bounded "$3" python3 "$root_dir/scripts/lib/scale_probe.py" "$1" "$2" "$mnt" "$foliofs" "$mount_pid" \
    >>"$work_dir/scale.jsonl" 2>"$work_dir/probe.err" || die "$1, $2: $(last_line "$work_dir/probe.err")"
  unmount_foliofs "$mnt"
}

measure_scale() { # QUICK COMMAND_LINE
  local gib=(1 16) inodes=(1000 1000000) min_time=0.5 each began=$SECONDS report=$root_dir/scripts/lib/scale_report.py
  if [[ $1 == yes ]]; then gib=(1 4) inodes=(1000 50000) min_time=0.05; fi
  make_export_dir
  head -c 1M /dev/urandom >"$export_dir/probe"
  truncate -s 4G "$export_dir/cold"
  start_foliofsd "$export_dir"
  for each in "${gib[@]}"; do
    truncate -s "${each}G" "$export_dir/large"
    probe_scale gib_mapped "$each" 600 256m
  done
  for each in "${inodes[@]}"; do
    make_many_files "$export_dir/many$each" "$each"
    probe_scale inodes "$each" 900 2g # with a smaller cache, the client would forget some of a million inodes
    rm -rf "$export_dir/many$each"
  done
  note 'the cache alone'
  run_microbenchmarks --benchmark_filter='/folios:' --benchmark_min_time="$min_time" --benchmark_format=json \
    >"$work_dir/micro.json" 2>"$work_dir/micro.err" || die "foliofs-micro failed: $(last_line "$work_dir/micro.err")"
  python3 "$report" "$work_dir/scale.jsonl" "$work_dir/micro.json" "$2" $((SECONDS - began)) >"$work_dir/scale.json" ||
    die "cannot make sense of the figures"
  python3 "$report" --table "$work_dir/scale.json" || exit_status=$?
  keep_results "$work_dir/scale.json" none
}
