# shellcheck shell=bash
# Starts and ends servers on free loopback ports and FUSE mounts: foliofs and, for comparison, sshfs.
# Needs common.sh and a work directory. Whatever is started here goes onto the cleanup stack at once.

build_dir=${FOLIOFS_BUILD:-$root_dir/build/release}
[[ $build_dir == /* ]] || build_dir=$root_dir/$build_dir
foliofs=$build_dir/foliofs
foliofsd=$build_dir/foliofsd

# Builds the release binaries, unless FOLIOFS_BUILD names a build to use as it is.
build_release() {
  if [[ -z ${FOLIOFS_BUILD:-} ]]; then
    note "building build/release"
    (cd "$root_dir" && cmake --preset release) >"$work_dir/build.log" 2>&1 || die_with_log "$work_dir/build.log" "cmake --preset release failed"
    bounded 1500 cmake --build "$root_dir/build/release" -j "$(nproc)" >>"$work_dir/build.log" 2>&1 ||
      die_with_log "$work_dir/build.log" "the release build failed"
  fi
  [[ -x $foliofs && -x $foliofsd ]] || die "no foliofs and foliofsd in $build_dir; build them there first"
}

die_with_log() { # LOG MESSAGE
  tail -n 20 "$1" >&2
  die "$2"
}

# --- listeners -------------------------------------------------------------------------------------

is_listening() { # PORT
  local hex
  printf -v hex '%04X' "$1"
  grep -qsE "^ *[0-9]+: [0-9A-F]+:$hex 0+:0000 0A" /proc/net/tcp /proc/net/tcp6
}

listening_or_gone() { is_listening "$1" || is_gone "$2"; } # PORT PID

# Chooses a port below the range from which the kernel takes ephemeral ports.
free_port() {
  local port
  while port=$((20000 + RANDOM % 12000)) && is_listening "$port"; do :; done
  printf '%s' "$port"
}

listener_port=
listener_pid=

# Starts COMMAND, with each @PORT@ in its words replaced by a free port, and waits until it listens.
# setsid keeps a Ctrl-C from reaching it: the script's cleanup ends it in the right order.
start_listener() { # LOG COMMAND ARG…
  local log=$1
  shift
  for _ in 1 2 3; do
    listener_port=$(free_port)
    setsid "${@//@PORT@/$listener_port}" >"$log" 2>&1 &
    listener_pid=$!
    on_exit stop_process "$listener_pid"
    wait_until 10 listening_or_gone "$listener_port" "$listener_pid" || break
    if is_ours "$listener_pid"; then return 0; fi
  done
  die "$(basename "$1") does not start: $(last_line "$log")"
}

# --- mounts ----------------------------------------------------------------------------------------

# Prints the device number of the filesystem mounted on MNT, or fails. Reads mountinfo and never touches the
# mount, which may hang.
mount_device() { # MNT
  path=$(mountinfo_path "$1") awk '$5 == ENVIRON["path"] { device = $3 } END { print device; exit !device }' /proc/self/mountinfo
}

is_mounted() { mount_device "$1" >/dev/null; } # MNT

is_unmounted() { ! is_mounted "$1"; }

mounted_or_gone() { is_mounted "$1" || is_gone "$2"; } # MNT PID

mount_pid=

# Runs a FUSE daemon with its option not to daemonize, so that its pid is known, and waits for its mount.
start_mount() { # MNT LOG COMMAND ARG…
  local mnt=$1 log=$2
  shift 2
  mkdir -p "$mnt"
  setsid "$@" >"$log" 2>&1 &
  mount_pid=$!
  on_exit abandon_mount "$mnt" "$mount_pid"
  wait_until 20 mounted_or_gone "$mnt" "$mount_pid" || die "$(basename "$1") has not mounted $mnt after 20 s: $(last_line "$log")"
  is_mounted "$mnt" || die "$(basename "$1") does not mount: $(last_line "$log")"
}

# Ends a mount whatever state it is in: its requests fail, so nothing waits for them; dirty data is lost.
abandon_mount() { # MNT PID
  local device connection
  if device=$(mount_device "$1"); then
    connection=/sys/fs/fuse/connections/${device#*:}
    if [[ -w $connection/abort ]]; then echo 1 >"$connection/abort"; fi
    timeout 10 fusermount3 -uz "$1" 2>/dev/null || timeout 10 umount -l "$1" || true
  fi
  stop_process "$2"
}

# Ends a mount cleanly: COMMAND unmounts it, and its daemon must end afterwards.
end_mount() { # MNT PID COMMAND ARG…
  local mnt=$1 pid=$2
  shift 2
  bounded 120 "$@" >"$mnt.umount.log" 2>&1 || die "cannot unmount $mnt: $(last_line "$mnt.umount.log")"
  wait_until 20 is_gone "$pid" || die "the daemon of $mnt is still there 20 s after the unmount"
  is_unmounted "$mnt" || die "$mnt is still mounted after the unmount"
}

# --- foliofs ---------------------------------------------------------------------------------------

foliofsd_port=

start_foliofsd() { # EXPORT_DIR
  start_listener "$work_dir/foliofsd.log" "$foliofsd" --listen 127.0.0.1:@PORT@ --export "share=$1,squash=none"
  foliofsd_port=$listener_port
}

mount_foliofs() { # MNT [OPTIONS]
  start_mount "$1" "$work_dir/foliofs.log" "$foliofs" mount 127.0.0.1:/share "$1" -f -o "port=$foliofsd_port${2:+,$2}"
}

unmount_foliofs() { # MNT
  end_mount "$1" "$mount_pid" "$foliofs" umount "$1"
}

# --- sshfs -----------------------------------------------------------------------------------------

# Starts a loopback sshd with its own keys and settings; it reads none of the user's or the machine's.
start_sshd() {
  local dir=$work_dir/ssh sshd
  sshd=$(PATH=$PATH:/usr/sbin command -v sshd) || die "sshd is missing; run scripts/setup --bench"
  # sshd run by root needs this directory, which exists only if the system's sshd has been started.
  if [[ $EUID == 0 && ! -d /run/sshd ]]; then
    mkdir -m 755 /run/sshd
    on_exit rmdir /run/sshd
  fi
  mkdir -m 700 "$dir"
  on_exit rm -rf "$dir"
  ssh-keygen -q -t ed25519 -N '' -f "$dir/host_key"
  ssh-keygen -q -t ed25519 -N '' -f "$dir/user_key"
  cp "$dir/user_key.pub" "$dir/authorized_keys"
  cat >"$dir/sshd_config" <<CONFIG
HostKey $dir/host_key
AuthorizedKeysFile $dir/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp /usr/lib/openssh/sftp-server
CONFIG
  start_listener "$dir/sshd.log" "$sshd" -D -e -f "$dir/sshd_config" -o ListenAddress=127.0.0.1:@PORT@
  printf '[127.0.0.1]:%s %s\n' "$listener_port" "$(cut -d' ' -f1,2 "$dir/host_key.pub")" >"$dir/known_hosts"
  cat >"$dir/ssh_config" <<CONFIG
Host 127.0.0.1
  Port $listener_port
  User $(id -un)
  IdentityFile $dir/user_key
  IdentitiesOnly yes
  UserKnownHostsFile $dir/known_hosts
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  BatchMode yes
  ConnectTimeout 10
CONFIG
}

mount_sshfs() { # MNT EXPORT_DIR
  start_mount "$1" "$work_dir/sshfs.log" sshfs -f -F "$work_dir/ssh/ssh_config" "127.0.0.1:$2" "$1"
}

unmount_sshfs() { # MNT
  end_mount "$1" "$mount_pid" fusermount3 -u "$1"
}
