# shellcheck shell=bash
# GlusterFS as a peer: one brick served by glusterfsd on loopback, mounted by glusterfs. This script gives both
# their volume files, so no glusterd runs and the system's GlusterFS is not touched. The graphs are those that
# glusterd 10 writes for a new volume of one brick, without the translators that are switched off in them.
# Needs common.sh, mounts.sh and a work directory; must be root.

brick_graph() { # BRICK_DIR PORT VOLUME_ID
  cat <<GRAPH
volume posix
  type storage/posix
  option directory $1
  option volume-id $3
  option shared-brick-count 1
  option fips-mode-rchecksum on
end-volume
volume access-control
  type features/access-control
  subvolumes posix
end-volume
volume locks
  type features/locks
  option enforce-mandatory-lock off
  subvolumes access-control
end-volume
volume io-threads
  type performance/io-threads
  subvolumes locks
end-volume
volume brick
  type debug/io-stats
  option unique-id brick
  option log-level WARNING
  subvolumes io-threads
end-volume
volume server
  type protocol/server
  option transport-type tcp
  option transport.address-family inet
  option transport.socket.bind-address 127.0.0.1
  option transport.socket.listen-port $2
  option transport.listen-backlog 1024
  option auth.addr.brick.allow 127.0.0.1
  subvolumes brick
end-volume
GRAPH
}

client_graph() { # PORT
  cat <<GRAPH
volume client
  type protocol/client
  option transport-type tcp
  option transport.address-family inet
  option remote-host 127.0.0.1
  option remote-port $1
  option remote-subvolume brick
  option send-gids true
  option ping-timeout 42
end-volume
volume dht
  type cluster/distribute
  subvolumes client
end-volume
volume utime
  type features/utime
  option noatime on
  subvolumes dht
end-volume
volume write-behind
  type performance/write-behind
  subvolumes utime
end-volume
volume open-behind
  type performance/open-behind
  subvolumes write-behind
end-volume
volume quick-read
  type performance/quick-read
  subvolumes open-behind
end-volume
volume md-cache
  type performance/md-cache
  subvolumes quick-read
end-volume
volume io-threads
  type performance/io-threads
  subvolumes md-cache
end-volume
volume share
  type debug/io-stats
  option log-level WARNING
  subvolumes io-threads
end-volume
GRAPH
}

start_gluster() {
  [[ $EUID == 0 ]] || die "GlusterFS needs root"
  local program
  for program in glusterfsd glusterfs setfattr; do
    command -v "$program" >/dev/null || die "$program is missing; run scripts/setup --gluster"
  done
  local id port
  id=$(</proc/sys/kernel/random/uuid)
  # 'gluster volume create' marks a brick in this way.
  setfattr -n trusted.glusterfs.volume-id -v "0x${id//-/}" "$export_dir" || die "no trusted attributes on $export_dir"
  port=$(free_port)
  brick_graph "$export_dir" "$port" "$id" >"$work_dir/brick.vol"
  client_graph "$port" >"$work_dir/gluster.vol"
  setsid glusterfsd -N -f "$work_dir/brick.vol" -l "$work_dir/brick.log" -p "$work_dir/brick.pid" >"$work_dir/brick.out" 2>&1 &
  listener_pid=$!
  on_exit stop_process "$listener_pid"
  wait_until 20 listening_or_gone "$port" "$listener_pid" || die "glusterfsd does not listen: $(gluster_words brick)"
  is_ours "$listener_pid" || die "glusterfsd does not start: $(gluster_words brick)"
}

gluster_words() { # NAME: the last error of its log
  grep -E ' E ' "$work_dir/$1.log" 2>/dev/null | tail -n 1 | cut -c 1-300
}

# glusterfs mounts before it has reached the brick, so this waits until the mount answers.
mount_gluster() {
  start_mount "$mnt" "$work_dir/gluster.out" glusterfs -N -f "$work_dir/gluster.vol" -l "$work_dir/gluster.log" "$mnt"
  wait_until 20 answers "$mnt" || die "glusterfs does not reach its brick: $(gluster_words gluster)"
}

answers() { timeout 5 stat "$1" >/dev/null 2>&1; } # MNT

unmount_gluster() { end_mount "$mnt" "$mount_pid" umount "$mnt"; }
