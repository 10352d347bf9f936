/* The invalidation paths, as the code has them: two folios, two writers, a reader, somebody else at
 * the server, a flusher, a truncator, two invalidators, and a server that may fail once.
 *
 * A folio has two bytes: a local one, which this client stores to, and a foreign one, which only
 * somebody else changes. Stores to the local byte of a folio are numbered, and so are the changes of
 * the foreign one; a number stands for the bytes. Choose the path with -DRFC, -DBULK, -DLAUNDER or
 * -DHYBRID.
 *
 * Checked: no acknowledged store is lost (I1, I2), a read sees every store that was acknowledged
 * before it began and nothing older than a finished invalidation (I3, I4), the server gets the
 * stores of a folio in order (I5), no write from before a truncation arrives after it (I9), nobody
 * waits for ever (invalid end states), each invalidation returns after a pass of its own (I11).
 */
#define FOLIOS 2

/* --- The server ---------------------------------------------------------------------------- */
byte server_local[FOLIOS];    /* the latest store that it has */
byte server_foreign[FOLIOS];  /* changes by somebody else */
#ifdef RELIABLE
bool may_fail = false;
#else
bool may_fail = true;         /* one write fails */
#endif
bool truncated = false;
byte cut;                     /* the latest store to folio 1 that the truncation took away */

/* --- The mapping --------------------------------------------------------------------------- */
byte gen = 1;
byte stored[FOLIOS];       /* the latest store that a writer was told is done */
byte dseq[FOLIOS];         /* the latest store that the folio has */
byte wseq[FOLIOS];         /* the latest store that is acknowledged, or void */
bool in_flight[FOLIOS];
byte sent[FOLIOS];         /* dseq of what is in flight */
byte sent_gen[FOLIOS];
bool local_valid[FOLIOS];  /* the local byte, when it is clean, is that of generation fill_gen */
byte local_value[FOLIOS];
bool foreign_valid[FOLIOS];
byte foreign_value[FOLIOS];
byte fill_gen[FOLIOS];
bool filling[FOLIOS];
bool overtaken[FOLIOS];    /* a write was acknowledged while the fill was on its way */
bool locked[FOLIOS];
byte writers_gate, fault_gate, hold;
bool truncating;
byte tickets, began_at;    /* one invalidation at a time */
bool invalidating;

/* What a read that begins now must see at least of the foreign byte. */
byte promised[FOLIOS];

byte running;  /* processes that may still store, change or invalidate */

#define dirty(f) (dseq[f] != wseq[f])
#define clean(f) (!dirty(f) && !in_flight[f])

inline enter_generation(f) {
  if
  :: fill_gen[f] != gen ->
     local_valid[f] = false;
     foreign_valid[f] = false;
     fill_gen[f] = gen
  :: else
  fi
}

/* --- Writeback ----------------------------------------------------------------------------- */

/* Writes the folio back if it is dirty; `failed` is set when the server refused. */
inline write_back(f, failed) {
  if
  :: atomic { !in_flight[f] && hold == 0 && dirty(f) ->
       in_flight[f] = true; sent[f] = dseq[f]; sent_gen[f] = gen;
       printf("%d: folio %d: store %d is on its way to the server\n", _pid, f, sent[f]) }
     if
     :: atomic { may_fail -> may_fail = false; failed = true; in_flight[f] = false;
          printf("%d: folio %d: the server refuses store %d\n", _pid, f, sent[f]) }
     :: atomic {
          assert(sent[f] > server_local[f]);                      /* I5 */
          assert(!(truncated && f == 1 && sent[f] <= cut));       /* I9 */
          server_local[f] = sent[f] }
        atomic {                                                  /* the acknowledgement */
          in_flight[f] = false;
#ifdef MUTANT_ACK
          wseq[f] = dseq[f];
#else
          wseq[f] = sent[f];
#endif
          if
          :: filling[f] -> overtaken[f] = true
          :: else
          fi;
          /* Clean from here on; not so if an invalidation began after it was sent. */
          enter_generation(f);
          local_valid[f] = (sent_gen[f] == gen);
          local_value[f] = sent[f];
          printf("%d: folio %d: store %d is acknowledged\n", _pid, f, sent[f]) }
     fi
  :: atomic { !in_flight[f] && hold == 0 && !dirty(f) -> skip }
  fi
}

inline write_back_all(failed) {
  write_back(0, failed);
  write_back(1, failed)
}

/* --- Discard -------------------------------------------------------------------------------- */

inline try_drop(f, kept) {
  atomic {
    if
#ifdef RFC
    :: true ->  /* truncate_inode_pages_range() does not look */
       printf("%d: folio %d: dropped with store %d, the server has %d\n", _pid, f, dseq[f],
              server_local[f]);
       wseq[f] = dseq[f]; local_valid[f] = false; foreign_valid[f] = false
#else
    :: clean(f) -> local_valid[f] = false; foreign_valid[f] = false
    :: else -> local_valid[f] = false; foreign_valid[f] = false; kept = true
#endif
    fi
  }
}

/* --- The paths ------------------------------------------------------------------------------ */

inline launder_one(f, failed, kept) {
  atomic { !locked[f] -> locked[f] = true }
  write_back(f, failed);
  try_drop(f, kept);
  locked[f] = false
}

inline path(failed, kept) {
#ifndef MUTANT_GENERATION
  gen++;
#endif
#ifdef RFC
  write_back_all(failed);
  try_drop(0, kept); try_drop(1, kept)
#endif
#ifdef BULK
  atomic { fault_gate++; writers_gate++ }
  write_back_all(failed);
  try_drop(0, kept); try_drop(1, kept);
  atomic { fault_gate--; writers_gate-- }
#endif
#ifdef LAUNDER
  launder_one(0, failed, kept);
  launder_one(1, failed, kept)
#endif
#ifdef HYBRID
  write_back_all(failed);
  try_drop(0, kept); try_drop(1, kept);
  if
  :: kept && !failed ->
     kept = false;
     writers_gate++;
     write_back_all(failed);
     try_drop(0, kept); try_drop(1, kept);
     writers_gate--
  :: else
  fi
#endif
}

proctype invalidator() {
  byte ticket;
  byte asked[FOLIOS];
  bool failed, kept, answered;
  atomic {
    tickets++; ticket = tickets;
    asked[0] = server_foreign[0]; asked[1] = server_foreign[1] }
  atomic { !invalidating ->
    if
    :: began_at >= ticket -> answered = true  /* by a pass that began after the request */
    :: else -> invalidating = true; began_at = tickets
    fi }
  if
  :: !answered ->
     path(failed, kept);
     invalidating = false
  :: answered
  fi;
  /* What was fetched before is void, whether it was dropped or not. */
  atomic {
    promised[0] = (asked[0] > promised[0] -> asked[0] : promised[0]);
    promised[1] = (asked[1] > promised[1] -> asked[1] : promised[1]);
    running-- }
}

/* --- Everybody else -------------------------------------------------------------------------- */

/* write(2): heeds gates and locks. */
proctype writer(byte f, stores) {
  do
  :: atomic { stores > 0 && writers_gate == 0 && !locked[f] && !truncating ->
       enter_generation(f);
       stored[f]++; dseq[f] = stored[f]; stores--;
       printf("%d: folio %d: write(2) returns, store %d is dirty\n", _pid, f, dseq[f]) }
  :: atomic { stores == 0 -> running--; break }
  od
}

#ifdef MAPPED
/* A page that the kernel writes back: it heeds nothing. */
proctype mapped_store(byte f) {
  atomic {
    enter_generation(f);
    stored[f]++; dseq[f] = stored[f];
    running-- }
}
#endif

proctype somebody_else(byte f) {
  atomic { server_foreign[f]++; running-- }
}

proctype reader(byte f) {
  byte g, ours, theirs, reads;
  byte must_ours, must_theirs;
again:
  atomic { must_ours = stored[f]; must_theirs = promised[f] }
look:
  atomic { fault_gate == 0 ->
    enter_generation(f);
    if
    :: (dirty(f) || in_flight[f] || local_valid[f]) && foreign_valid[f] ->
       ours = (dirty(f) -> dseq[f] : (in_flight[f] -> sent[f] : local_value[f]));
       theirs = foreign_value[f];
       assert(theirs >= must_theirs);
       assert(ours >= must_ours || (truncated && f == 1));
       goto seen
    :: else -> g = gen; filling[f] = true; overtaken[f] = false
    fi }
  atomic { ours = server_local[f]; theirs = server_foreign[f] }  /* the server answers */
  atomic {                                                         /* the reply is here */
    filling[f] = false;
    if
#ifndef MUTANT_FILL
    :: g != gen -> skip
#endif
    :: else ->
       enter_generation(f);
       foreign_valid[f] = true; foreign_value[f] = theirs;
       if
       :: !dirty(f) && !in_flight[f] && !overtaken[f] && !local_valid[f] ->
          local_valid[f] = true; local_value[f] = ours
       :: else
       fi
    fi }
  goto look;
seen:
  reads++;
  if
  :: reads < 2 -> goto again
  :: else
  fi
}

proctype flusher() {
  bool failed;
  write_back_all(failed);
  running--
}

#ifdef TRUNCATE
/* ftruncate() to one folio. */
proctype truncator() {
  atomic { !truncating -> truncating = true; hold++ }
  atomic { !in_flight[0] && !in_flight[1] -> skip }
  atomic { truncated = true; cut = dseq[1]; server_local[1] = dseq[1] }  /* the server has done it */
  atomic {
    wseq[1] = dseq[1];  /* dirty bytes beyond the end go */
    local_valid[1] = false; foreign_valid[1] = false;
    hold--; truncating = false;
    running-- }
}
#endif

init {
  byte f;
  bool failed;
  atomic {
    running = 3;
    run writer(0, 2);
    run somebody_else(0);
    run invalidator();
#ifdef READ
    run reader(0);
#endif
#ifdef FLUSH
    running++; run flusher();
#endif
#ifdef OTHER
    running++; run writer(1, 1);
#endif
#ifdef TWO
    running++; run invalidator();
#endif
#ifdef MAPPED
    running++; run mapped_store(0);
#endif
#ifdef TRUNCATE
    running++; run truncator();
#endif
  }
  running == 0;
  /* close(2) and its retry: whatever was stored is on the server afterwards. */
  write_back_all(failed);
  write_back_all(failed);
  for (f : 0 .. FOLIOS - 1) {
    assert(clean(f) && server_local[f] == stored[f])
  }
}
