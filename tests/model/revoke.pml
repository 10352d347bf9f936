/* The revoke dance: giving up a lease with nothing stale left in the kernel, and no deadlock.
 *
 * The kernel keeps pages above our cache. A READ locks its page until it is answered; a notification
 * waits for locked pages and brings dirty mapped ones in as WRITEs. So the daemon may never hold a
 * READ back while a notification runs, and yet no page may be left that was filled under the lease.
 *
 * Checked: after the acknowledgement no read that begins later sees what the lease covered, no store
 * through a mapping is lost, nobody waits for ever, the revoke ends.
 */
#define PAGES 2
#define READS 2

mtype = { absent, reading, present };

/* --- The server ---------------------------------------------------------------------------- */
bool recall;                 /* somebody else waits for the lease */
bool acknowledged;

/* --- The kernel ---------------------------------------------------------------------------- */
mtype page[PAGES] = absent;
bool page_leased[PAGES];  /* filled with what the lease covers */
bool page_dirty[PAGES];

/* --- The daemon ---------------------------------------------------------------------------- */
bool cache_dirty[PAGES];
byte stores[PAGES];          /* how often the mapping was stored to, and how many reached the server */
byte arrived[PAGES];
byte in_cache[PAGES];
bool revoking, parked;
bool tainted[PAGES];
bool dropped;                /* the notification that was asked for is done */
bool drop;                   /* a notification is asked for */

byte running = 5;            /* those that end by themselves */
bool written_by_other;       /* somebody else has written, after the acknowledgement */

/* read(2), or a fault */
proctype reader(byte p) {
  byte reads;
  bool after, leased;
  do
  :: reads < READS ->
     after = false;
     atomic { after = written_by_other }
again:
     if
     :: atomic { page[p] == present -> leased = page_leased[p] }
     :: atomic { page[p] == absent -> page[p] = reading }
        /* READ arrives at the daemon */
        if
        :: atomic { !parked && !acknowledged ->
             /* answered at once, from the cache that the lease covers */
             page_leased[p] = true;
             page[p] = present;
#ifndef MUTANT_NO_TAINT
             tainted[p] = revoking
#else
             skip
#endif
             }
        :: atomic { acknowledged && !parked ->
             page_leased[p] = false;  /* whatever the server grants now */
             page[p] = present }
        fi;
        goto again
     :: atomic { page[p] == reading -> skip }  /* somebody else reads it */
        (page[p] != reading);
        goto again
     fi;
     assert(!(after && leased));
     reads++
  :: else -> break
  od;
  running--
}

/* A store through a shared mapping, into a page that is there. */
proctype mapper(byte p) {
  if
  :: atomic { page[p] == present -> page_dirty[p] = true; stores[p]++ }
  :: atomic { acknowledged -> skip }
  fi;
  running--
}

/* The notifier's thread: invalidate_inode_pages2_range() of the whole file. */
proctype notifier() {
  byte p;
end:
  do
  :: drop ->
     for (p : 0 .. PAGES - 1) {
       atomic { page[p] != reading ->  /* waits for the lock of a READ */
         if
         :: page_dirty[p] ->           /* a WRITE, which nothing holds up */
            page_dirty[p] = false;
            in_cache[p] = stores[p];
            cache_dirty[p] = true
         :: else
         fi;
         page[p] = absent }
     }
     atomic { drop = false; dropped = true }
  od
}

inline flush() {
  for (p : 0 .. PAGES - 1) {
    if
    :: atomic { cache_dirty[p] -> cache_dirty[p] = false; arrived[p] = in_cache[p] }
    :: else
    fi
  }
}

proctype revoke() {
  byte p;
  recall;
  revoking = true;
  flush();                                    /* 1: nobody is held up */
#ifdef MUTANT_PARK_FIRST
  parked = true;
#endif
  do
  :: atomic { dropped = false; tainted[0] = false; tainted[1] = false; drop = true };  /* 2 */
     dropped;
     atomic {                                 /* 3: any page filled meanwhile? */
       if
       :: tainted[0] || tainted[1] -> skip
       :: else -> parked = true; break        /* 4: from here on pages are locked and empty */
       fi }
  od;
  flush();
  atomic {
    assert(page[0] != present && page[1] != present);
    acknowledged = true }
  parked = false;
  revoking = false;
  running--
}

proctype somebody_else() {
  recall = true;
  acknowledged;
  written_by_other = true;
  running--
}

init {
  atomic {
    run reader(0); run reader(1); run mapper(0); run notifier(); run revoke(); run somebody_else()
  }
  running == 0;
  /* A page dirtied after the acknowledgement is written under whatever the server grants then. */
  assert(page_dirty[0] || arrived[0] == stores[0])
}
