# shellcheck shell=bash
# scripts/soak programs: runs real programs on a mount: dbench, stress-ng's filesystem stressors, a build of
# foliofs with its unit tests, a large git repository. Needs common.sh, mounts.sh, a work directory, and the
# variables modes, options and quick of scripts/soak.
# shellcheck disable=SC2154

# stress-ng's stressors that do not use the mount, change the machine, or need another kind of filesystem.
programs_not_of_files=bind-mount,binderfs,eventfd,ioprio,procfs,fanotify,file-ioctl,chattr,inode-flags,verity,fiemap

# Runs one program's command in its own directory on the mount, and reports the result.
run_program() { # NAME SECONDS MNT COMMAND ARG…
  local name=$1 limit=$2 dir=$3/$1 status=0 began=$SECONDS
  local log=$work_dir/${name//\//-}.log
  mkdir -p "$dir"
  (cd "$dir" && bounded "$limit" "${@:4}") >"$log" 2>&1 || status=$?
  if ((status == 0)); then
    right "$name: $((SECONDS - began)) s$(grep -m 1 -ioE ': .*(skipp|premature).*' "$log" || true)"
    rm -rf "$dir"
  else
    note "$name: WRONG, status $status after $((SECONDS - began)) s; the end of its output:"
    tail -n 12 "$log" | sed 's/^/      /'
    programs_failed=1
  fi
}

# dbench ends with status 0 even if calls have failed, and only prints them; so its output decides.
program_dbench() { # SECONDS
  dbench -t "$1" -D . 8 >dbench.log 2>&1 || return
  tail -n 1 dbench.log
  ! grep -iE 'failed|error|expected' dbench.log | grep -v 'barrier semaphore'
}

stressors() {
  local name
  for name in $(stress-ng --class 'filesystem?' 2>&1 | sed -n "s/^class 'filesystem' stressors: //p"); do
    [[ ,$programs_not_of_files, == *,$name,* ]] || printf '%s\n' "$name"
  done
}

# The stressors run one after the other, so that a failure belongs to one of them.
program_stressor() { # NAME SECONDS
  stress-ng "--$1" 2 --verify --timeout "$2" --temp-path .
}

program_build() { # TARGET…
  git clone -q --no-hardlinks "$root_dir" foliofs &&
    cmake -G Ninja -S foliofs -B build -DCMAKE_BUILD_TYPE=Debug -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON &&
    cmake --build build -j "$(nproc)" ${1+--target "$@"} || return
  if (($#)); then build/foliofsd --help; else ctest --test-dir build -L unit --timeout 120 --output-on-failure; fi
}

# Prints a history for git fast-import: FILES files in directories of a hundred. The first of the four commits
# makes them, and each later one changes half of them.
git_history() { # FILES
  awk -v files="$1" 'BEGIN {
    for (commit = 1; commit <= 4; commit++) {
      printf "commit refs/heads/trunk\ncommitter Soak <soak@example.org> %d +0000\ndata 6\nchange\n", 1700000000 + commit
      for (file = 0; file < files; file++) {
        if (commit > 1 && (file + commit) % 2) continue
        text = ""
        for (line = 0; line < 5 + file % 40; line++) text = text file " " commit " " line "\n"
        printf "M 100644 inline d%d/f%d\ndata %d\n%s\n", file / 100, file, length(text), text
      }
      printf "\n"
    }
  }'
}

program_git() { # FILES
  export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
  git init -q --bare origin.git && git_history "$1" | git -C origin.git fast-import --quiet &&
    git -C origin.git symbolic-ref HEAD refs/heads/trunk &&
    git clone -q --no-local origin.git clone && cd clone || return
  [[ $(git ls-files | wc -l) == "$1" ]] || { echo "not all files are there" && return 1; }
  local commit
  for commit in trunk~1 trunk~2 trunk; do git checkout -q "$commit" || return; done
  [[ -z $(git status --porcelain) && -z $(git diff-files --name-only) ]] || { echo "something is changed" && return 1; }
  git gc -q --prune=now && git fsck --full --strict && git status --porcelain
}

programs_failed=0

run_programs() { # MNT
  local name seconds=$programs_seconds
  export -f program_dbench program_stressor program_build git_history program_git
  export root_dir
  run_program dbench $((seconds + 60)) "$1" bash -c 'program_dbench "$@"' bash "$seconds"
  run_program git 1200 "$1" bash -c 'program_git "$@"' bash "$programs_git_files"
  for name in $(stressors); do
    run_program "stress-ng/$name" $((programs_stressor_seconds + 60)) "$1" \
      bash -c 'program_stressor "$@"' bash "$name" "$programs_stressor_seconds"
  done
  run_program build 5400 "$1" bash -c 'program_build "$@"' bash ${programs_target:+"$programs_target"}
}

soak_programs() {
  local mode
  # With --quick, each program runs only long enough to show that it works.
  programs_seconds=120 programs_stressor_seconds=20 programs_git_files=20000 programs_target=''
  if [[ -n $quick ]]; then
    programs_seconds=5 programs_stressor_seconds=2 programs_git_files=2000 programs_target=foliofsd
  fi
  bounded 1200 "$root_dir/scripts/setup" --soak
  build_release
  for mode in "${modes[@]}"; do
    heading "programs on a mount, $mode${options:+, $options}"
    mkdir -p "$work_dir/$mode/export" "$work_dir/$mode/mnt"
    start_foliofsd "$work_dir/$mode/export"
    mount_foliofs "$work_dir/$mode/mnt" "invalidate=$mode${options:+,$options}"
    run_programs "$work_dir/$mode/mnt"
    unmount_foliofs "$work_dir/$mode/mnt"
  done
  ((programs_failed == 0)) || die 'something was wrong'
}
