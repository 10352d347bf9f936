# shellcheck shell=bash
# The filesystems that scripts/bench measures one after the other. Peer P has start_P, which starts a server
# for $export_dir; mount_P_peer and unmount_P_peer, which work on $mnt; and, if its program has to be built,
# prepare_P. Needs common.sh, mounts.sh, gluster.sh and a work directory.

peers=(foliofs sshfs gluster rclone passthrough local)

# --- foliofs ---------------------------------------------------------------------------------------

foliofs_options=''

start_foliofs() { start_foliofsd "$export_dir"; }
mount_foliofs_peer() { mount_foliofs "$mnt" "$foliofs_options"; }
unmount_foliofs_peer() { unmount_foliofs "$mnt"; }

# --- sshfs: with its defaults, over a loopback sshd ------------------------------------------------

start_sshfs() { start_sshd; }
mount_sshfs_peer() { mount_sshfs "$mnt" "$export_dir"; }
unmount_sshfs_peer() { unmount_sshfs "$mnt"; }

# --- GlusterFS: gluster.sh -------------------------------------------------------------------------

mount_gluster_peer() { mount_gluster; }
unmount_gluster_peer() { unmount_gluster; }

# --- rclone: over the same kind of sshd. It uploads a file when it is closed, and close waits --------

start_rclone() {
  command -v rclone >/dev/null || die "rclone is missing; run scripts/setup --rclone"
  start_sshd
  rclone_port=$listener_port
}

mount_rclone_peer() {
  local ssh=$work_dir/ssh
  rm -rf "$work_dir/rclone.cache" # rclone's cache on disk, which a cold mount must not have
  start_mount "$mnt" "$work_dir/rclone.log" rclone mount ":sftp:$export_dir" "$mnt" --config '' \
    --sftp-host 127.0.0.1 --sftp-port "$rclone_port" --sftp-user "$(id -un)" --sftp-key-file "$ssh/user_key" \
    --sftp-known-hosts-file "$ssh/known_hosts" --sftp-disable-hashcheck \
    --vfs-cache-mode full --vfs-write-back 0 --cache-dir "$work_dir/rclone.cache"
}

unmount_rclone_peer() { end_mount "$mnt" "$mount_pid" fusermount3 -u "$mnt"; }

# --- libfuse's passthrough_ll: the same directory without a network ----------------------------------

prepare_passthrough() {
  local source=/usr/share/doc/libfuse3-dev/examples/passthrough_ll.c flags
  [[ -f $source || -f $source.gz ]] || die "libfuse3-dev has no example passthrough_ll.c here"
  read -ra flags < <(pkg-config fuse3 --cflags --libs)
  zcat -f "$source" >"$work_dir/passthrough_ll.c"
  "${CC:-gcc}" -O2 -w -I"${source%/*}" -o "$work_dir/passthrough_ll" "$work_dir/passthrough_ll.c" "${flags[@]}" ||
    die "cannot compile libfuse's passthrough_ll.c"
}

start_passthrough() { ulimit -n "$(ulimit -H -n)"; } # it keeps a descriptor open for each known inode

# cache=always keeps attributes, names and pages for a day, the longest that passthrough_ll offers.
mount_passthrough_peer() {
  start_mount "$mnt" "$work_dir/passthrough.log" "$work_dir/passthrough_ll" -f \
    -o "source=$export_dir,cache=always,fsname=passthrough" "$mnt"
}

unmount_passthrough_peer() { end_mount "$mnt" "$mount_pid" fusermount3 -u "$mnt"; }

# --- the directory itself, without FUSE ------------------------------------------------------------

start_local() { mnt=$export_dir; }
mount_local_peer() { mount_pid=$BASHPID; }
unmount_local_peer() { :; }

# --- all -------------------------------------------------------------------------------------------

mount_peer() { "mount_${peer}_peer"; }

# Records the client's peak memory before the client ends.
unmount_peer() {
  if [[ $peer != local ]]; then record client_peak_kib "$(awk '$1 == "VmHWM:" { print $2 }' "/proc/$mount_pid/status")"; fi
  "unmount_${peer}_peer"
}

# Afterwards neither the client nor its kernel has anything cached. The server's kernel has all files in its
# page cache again, so that no disk is measured.
remount_cold() {
  unmount_peer
  drop_kernel_caches
  find "$export_dir" -type f -print0 | xargs -0 -r cat >/dev/null
  mount_peer
}

peer_version() { # PEER
  case $1 in
    foliofs) "$foliofs" --version | head -n 1 ;;
    sshfs) sshfs --version 2>&1 | grep -i '^sshfs' ;;
    gluster) glusterfs --version 2>/dev/null | head -n 1 ;;
    rclone) rclone version 2>/dev/null | head -n 1 ;;
    passthrough) printf 'libfuse %s\n' "$(pkg-config --modversion fuse3)" ;;
    *) stat -f -c %T "$store_dir" ;;
  esac
}
