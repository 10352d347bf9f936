# shellcheck shell=bash
# What every script here needs: messages, commands with a time limit, child processes, one cleanup stack.
# Knows nothing of foliofs or of mounts. Sourced, never run; the caller has `set -euo pipefail`.

# shellcheck disable=SC2034 # not every script uses it
root_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
script_name=scripts/$(basename "$0")
export LC_ALL=C.UTF-8
exec </dev/null # nothing here asks questions

if [[ -t 1 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]]; then
  bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
else
  bold='' green='' red='' plain=''
fi

heading() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
note() { printf '  %s\n' "$*"; }
right() { printf '  %sok%s  %s\n' "$green" "$plain" "$*"; }
warn() { printf '%s: %s\n' "$script_name" "$*" >&2; }

die() {
  printf '%s%s: %s%s\n' "$red" "$script_name" "$*" "$plain" >&2
  exit 1
}

# A mistake on the command line.
die_usage() {
  printf '%s: %s (see %s --help)\n' "$script_name" "$*" "$script_name" >&2
  exit 2
}

# --- cleanup: runs however the script ends; the command pushed last runs first ---------------------

cleanup_stack=()

on_exit() { # COMMAND ARG…
  cleanup_stack+=("$(printf '%q ' "$@")")
}

run_cleanup() {
  trap : INT TERM HUP # a second Ctrl-C must not interrupt the cleanup
  trap - EXIT
  set +e
  if [[ -n $bounded_pid ]]; then stop_process "$bounded_pid"; fi
  local i
  for ((i = ${#cleanup_stack[@]} - 1; i >= 0; i--)); do eval "${cleanup_stack[i]}"; done
}

trap run_cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# --- processes -------------------------------------------------------------------------------------

bounded_pid=

# Runs a command for at most SECONDS, in a process group of its own. It runs in the background, so that
# this script handles a signal at once and then ends the command too, which has 20 s to clean up.
bounded() { # SECONDS COMMAND ARG…
  local status=0
  timeout --kill-after=20 "$@" <&0 &
  bounded_pid=$!
  wait "$bounded_pid" || status=$?
  bounded_pid=
  return "$status"
}

wait_until() { # SECONDS COMMAND ARG…
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.05
  done
}

# True while PID is a child of this shell. A pid that the kernel has reused for another process is not.
is_ours() { # PID
  grep -q "^PPid:[[:space:]]*$BASHPID\$" "/proc/$1/status" 2>/dev/null
}

is_gone() { ! is_ours "$1"; }

stop_process() { # PID [SECONDS]: how long it may take to end
  is_ours "$1" || return 0
  kill -TERM "$1" 2>/dev/null || true
  if ! wait_until "${2:-25}" is_gone "$1"; then
    kill -KILL "$1" 2>/dev/null || true
    wait_until 5 is_gone "$1" || warn "process $1 does not end"
  fi
}

# Runs a function in a subshell. The function may fail; in any case the subshell ends what it has started. Its
# status goes to attempt_status, its messages to LOG. Never call this in a condition: bash would switch errexit
# off inside.
attempt() { # LOG FUNCTION ARG…
  local log=$1 pid
  shift
  (
    cleanup_stack=() bounded_pid=''
    trap run_cleanup EXIT
    trap 'exit 143' TERM
    "$@"
  ) 2>"$log" &
  pid=$!
  on_exit stop_process "$pid" 120
  attempt_status=0
  wait "$pid" || attempt_status=$?
  unset 'cleanup_stack[-1]'
}

attempt_status=

# --- small things ----------------------------------------------------------------------------------

work_dir=

make_work_dir() {
  work_dir=$(mktemp -d "${TMPDIR:-/tmp}/foliofs-${0##*/}.XXXXXX") || die "cannot make a directory in ${TMPDIR:-/tmp}"
  on_exit remove_work_dir
}

remove_work_dir() {
  if grep -qF " $(mountinfo_path "$work_dir")/" /proc/self/mountinfo; then
    warn "something is still mounted below $work_dir: left in place"
  else
    rm -rf --one-file-system "$work_dir"
  fi
}

mountinfo_path() { printf '%s' "${1// /\\040}"; } # a path as /proc/self/mountinfo spells it

last_line() { # FILE
  tail -n 1 "$1" 2>/dev/null || true
}

now_us() { printf '%s' "${EPOCHREALTIME/[.,]/}"; }

mebibytes() { awk -v bytes="$1" 'BEGIN { printf "%.1f MiB", bytes / 1048576 }'; }

milliseconds() { awk -v us="$1" 'BEGIN { printf "%.1f ms", us / 1000 }'; }

drop_kernel_caches() {
  sync
  if [[ -w /proc/sys/vm/drop_caches ]]; then echo 3 >/proc/sys/vm/drop_caches; fi
}

# Lists at most COUNT files below DIR, spread evenly over it, that are smaller than 1 MiB and of one of TYPES
# (as find spells them: f,l).
list_files() { # DIR TYPES COUNT
  (cd "$1" && find . -type "$2" -size -2048) | sort |
    awk -v want="$3" '{ name[NR] = $0 }
      END {
        count = NR < want ? NR : want
        for (i = 0; i < count; i++) print name[int(i * NR / count) + 1]
      }'
}
