/* memory.h -- a store in memory: history rings by policy, retained messages, idempotency keys. hub/store.h.
 *
 * Everything has a ceiling that is set here; a full ring forgets its oldest. Nothing survives the process: give every
 * instance an epoch of its own. Answers come before the call returns. */
#ifndef PIXI_STORE_MEMORY_H
#define PIXI_STORE_MEMORY_H

#include "hub/store.h"
#include "store/policy.h"

struct pixi_memory_config {
    const struct pixi_policy *policies;    /* copied; max_bytes is taken from the system as it fills */
    size_t policy_count;                   /* at most PIXI_POLICIES_MAX */
    size_t retained_count, retained_bytes; /* ceilings; bytes as they are allocated */
    size_t producers;                      /* idempotency: producers known at a time */
    size_t seqs, seqs_per_producer;        /* idempotency: answered and not yet below `low` */
    size_t wanted_messages, wanted_bytes;  /* kept for sessions; messages 0: none */
    size_t records;                        /* small records, of at most PIXI_RECORD_MAX bytes each */
    uint64_t epoch;                        /* random, not 0 */
    uint8_t hash_key[16];                  /* random */
};

/* Everything but epoch and hash_key: no policies, 65,536 retained messages and 64 MiB, 10,000 producers, 65,536 seqs
 * each and 1,048,576 in all, 100,000 messages and 64 MiB for sessions, 1,024 records. */
extern const struct pixi_memory_config pixi_memory_config_default;

struct pixi_memory;

/* pixi_memory_new -- gives the store; free with pixi_memory_free.
 *
 *   PIXI_OK
 *   PIXI_E_SETTINGS   epoch 0, too many policies, or one without room
 *   PIXI_E_FILTER     a policy's filter is none, or is `$share/...`
 *   PIXI_E_NOMEM */
int pixi_memory_new(const struct pixi_memory_config *config, struct pixi_memory **out);

/* pixi_memory_free -- NULL is fine. No hub uses it any more. */
void pixi_memory_free(struct pixi_memory *memory);

/* pixi_memory_store -- what to give to pixi_hub_init; lives as long as memory. */
struct pixi_store *pixi_memory_store(struct pixi_memory *memory);

/* What it holds now, for status and metrics. */
struct pixi_memory_stats {
    uint64_t messages, bytes; /* in the rings */
    uint64_t retained, retained_bytes;
    uint64_t wanted, wanted_bytes; /* kept for sessions */
    uint64_t producers, seqs, records;
};
struct pixi_memory_stats pixi_memory_stats(const struct pixi_memory *memory);

/* pixi_memory_is_full -- does it refuse more retained messages: as many as may be, or all but 1/64 of their bytes? */
bool pixi_memory_is_full(const struct pixi_memory *memory);

#endif
