/*
 * The toy VT-d for Spin: N stray DMA actors, an invalidation unit and a driver that unmaps pages and frees them. ../toy/toy.ts is the
 * same toy for Pinhole; the two have equally many states and transitions, step for step:
 *  - One step of an actor is one statement here. What happens in one step stands in one d_step, and every choice is an option of an
 *    `if` or `do` that begins with its own d_step, so a choice and its effect are one step too. A `goto` behind a d_step takes none.
 *    spin -o3 leaves statements unmerged, pan -DNOREDUCE leaves out no order of them.
 *  - All processes are there from the start (`active`) and none ends: each stops at `false`, at a valid end state. Else every
 *    process would take one more step to end and another to vanish, in an order that is Spin's and nobody else's.
 *  - Locals that mean nothing any more go back to 0 in the step that ends their meaning: pan compares them, too.
 *  - `busy` and `held` add no states: they are functions of positions and marks that the other toy keeps in each actor.
 *
 * -DN=1..8     DMA actors
 * -DDR=0       the invalidation does not drain reads    -DDW=0  does not drain writes    (violated: a DMA lands after the free)
 * -DFLUSH=0    the driver waits, but invalidates nothing (violated)
 */
#ifndef N
#define N 3
#endif
#ifndef DR
#define DR 1
#endif
#ifndef DW
#define DW 1
#endif
#ifndef FLUSH
#define FLUSH 1
#endif

#define READ 0
#define WRITE 1
/* The root entry, which nobody changes, and the directory's frame. */
#define ROOT 1
#define DIRECTORY 2
#define BIT (1 << _pid)
#define PAGES 4

mtype = { INVALIDATE, WAIT };

/* Table words: 0 is not present. Pages 1 and 2 are mapped at first, at I/O virtual addresses 0 and 1; page 3 is in reserve.
   The driver unmaps page 1, frees it and maps page 3 in its place, then unmaps page 2, unlinks the whole table and frees pages 2 and 3. */
byte dir = DIRECTORY;
byte leaf[2] = { 1, 2 };
/* The IOTLB: the page of each address, 0 for none. */
byte tlb[2];
/* Actors whose DMA the IOMMU has begun, and those of them that the last invalidation met; a bit each, reads and writes apart. */
byte busy[2];
byte held[2];
bit freed[PAGES];
chan queue = [2] of { mtype };
bit status;

inline begin() { busy[access] = busy[access] | BIT }
inline end() {
  busy[access] = busy[access] & ~BIT;
  held[access] = held[access] & ~BIT;
  access = 0; va = 0; word = 0
}

/* The first processes, so that _pid is 0 .. N-1. */
active [N] proctype dma() {
  bit access, va;
  byte word;

  if
  :: d_step { access = READ; va = 0 }
  :: d_step { access = READ; va = 1 }
  :: d_step { access = WRITE; va = 0 }
  :: d_step { access = WRITE; va = 1 }
  fi;
  /* An entry that could be used may as well be declined: hardware may evict whenever it likes. */
  if
  :: d_step { tlb[va] != 0 -> begin(); word = tlb[va] } goto land
  :: d_step { begin() }
  fi;
  d_step { word = ROOT };
  if
  :: d_step { dir != 0 -> word = dir }
  :: d_step { dir == 0 -> end() } goto end_of_dma
  fi;
  if
  :: d_step { leaf[va] != 0 -> word = leaf[va] }
  :: d_step { leaf[va] == 0 -> end() } goto end_of_dma
  fi;
  /* A walk that an invalidation has met may not fill; any other may, or not. */
  if
  :: d_step { (held[access] & BIT) == 0 -> tlb[va] = word }
  :: d_step { true }
  fi;
land:
  if
  :: d_step { assert(!freed[word]); end() }
  fi;
end_of_dma:
  false
}

active proctype unit() {
end_unit:
  do
  :: d_step { queue ? [INVALIDATE] -> queue ? INVALIDATE; tlb[0] = 0; tlb[1] = 0; held[0] = busy[0]; held[1] = busy[1] }
  :: d_step { queue ? [WAIT] && (!DR || held[READ] == 0) && (!DW || held[WRITE] == 0) -> queue ? WAIT; status = 1 }
  od
}

inline invalidate() {
#if FLUSH
  d_step { queue ! INVALIDATE };
#endif
  d_step { queue ! WAIT };
  d_step { status == 1 -> status = 0 }
}

active proctype driver() {
  d_step { leaf[0] = 0 };
  invalidate();
  d_step { freed[1] = 1 };
  d_step { leaf[0] = 3 };
  d_step { leaf[1] = 0 };
  d_step { dir = 0 };
  invalidate();
  d_step { freed[2] = 1; freed[3] = 1 };
end_of_driver:
  false
}
