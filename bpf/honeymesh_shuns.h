/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The kernel's own answer to a scan or a flood: for minutes, for new connections only, and never beyond this host, as what it goes by may be
 * spoofed. docs/packet-path.md, 9. */
#ifndef HONEYMESH_SHUNS_H
#define HONEYMESH_SHUNS_H

#include <linux/errno.h>

#include "honeymesh_events.h"

/* repeats and kinds of a shun are changed as one word (little-endian, as all that we build for) */
_Static_assert(__builtin_offsetof(struct hm_shun, repeats) == 20 && __builtin_offsetof(struct hm_shun, kinds) == 22, "shun_word");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "shun_word");
#define SHUN_REPEATS_MASK 0xffff
#define SHUN_REPEATS_MAX 0xff00
#define SHUN_KINDS_SHIFT 16
#define SHUN_DOUBLINGS_MAX 15

static __always_inline __u8 shun_kind_of(__u32 probe)
{
	return probe == HM_PROBE_UDP ? HM_SHUN_UDP : HM_SHUN_TCP;
}

static __always_inline struct hm_guard *the_guard(void)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&guard, &key);
}

/* Most hosts shun somebody most of the time; the others are spared a look-up that misses the cache for each new source. */
static __always_inline bool is_anyone_shunned(struct hm_packet *packet)
{
	const struct hm_guard *shared = the_guard();
	__u64 until = shared ? shared->shuns_until_ns : 0;

	return !until || until > clock(packet);
}

static __always_inline struct hm_shun *find_shun(struct hm_packet *packet, __u8 kind)
{
	struct hm_shun *shun;

	if (!is_anyone_shunned(packet))
		return NULL;
	shun = bpf_map_lookup_elem(&shuns, &packet->source_key);
	return unlikely(shun) && shun->expires_ns > clock(packet) && shun->kinds & kind ? shun : NULL;
}

static __always_inline __u64 shun_ttl(const struct hm_config *config, __u32 repeats)
{
	__u64 ttl = config->shun_ttl_ns << (repeats < SHUN_DOUBLINGS_MAX ? repeats : SHUN_DOUBLINGS_MAX);

	return ttl < config->shun_ttl_max_ns ? ttl : config->shun_ttl_max_ns;
}

/* A wave of shuns writes the word that everybody reads once a second, not once each. */
#define SHUNS_UNTIL_STEP_NS HM_SECOND_NS
#define SHUNS_UNTIL_TRIES 8 /* each failure is another CPU's success at raising it */

/* To be called before a shun can be found that lives until then: whoever can find the shun then sees this too, and looks for it. */
static __always_inline void raise_shuns_until(__u64 expires_ns)
{
	struct hm_guard *shared = the_guard();

	if (!shared)
		return;
	for (int tries = 0; tries < SHUNS_UNTIL_TRIES; tries++) {
		__u64 old = shared->shuns_until_ns;

		if (!old || old >= expires_ns || __sync_val_compare_and_swap(&shared->shuns_until_ns, old, expires_ns + SHUNS_UNTIL_STEP_NS) == old)
			return;
	}
	/* at least both, by one operation that cannot fail: too far costs look-ups, too near would cost a shun */
	__sync_fetch_and_or(&shared->shuns_until_ns, expires_ns);
}

/* Called by those who call make_shun, not by it: their stacks have to fit on each other. */
__noinline int say_full(const struct hm_config *config, struct hm_packet *packet)
{
	struct hm_finding finding = { .kind = HM_EVENT_MAP_FULL };
	struct hm_guard *shared = the_guard();

	bump(HM_COUNT_SHUN_FULL);
	if (!config || !packet || !shared)
		return 0;
	finding.port = packet->port;
	if (not_said_lately(&shared->map_full_said_ns, clock(packet)))
		tell_hi(config, packet, &finding);
	return 0;
}

static __always_inline __u32 *shun_word(struct hm_shun *shun)
{
	return (__u32 *)&shun->repeats;
}

enum hm_made { SHUN_OLD = 0, SHUN_NEW = 1, SHUN_NEW_BUT_FULL = 2 };

/* Makes, prolongs or widens the shun of the packet's source. Not SHUN_OLD for the one CPU to which it is new; `ttl_ns`: how long it lasts,
 * 0 where none could be made (the finding is new all the same). Reasons and kinds of two CPUs are merged. */
__noinline int make_shun(const struct hm_config *config, struct hm_packet *packet, __u32 kind, __u32 reasons, __u64 *ttl_ns)
{
	struct hm_shun fresh = { .reasons = reasons, .kinds = kind }, *shun;
	__u64 now, old;
	__u32 word;
	long error;

	if (!config || !packet || !ttl_ns)
		return 0;
	now = clock(packet);
	*ttl_ns = shun_ttl(config, 0);
	fresh.expires_ns = now + *ttl_ns;
	raise_shuns_until(fresh.expires_ns);
	error = bpf_map_update_elem(&shuns, &packet->source_key, &fresh, BPF_NOEXIST);
	if (!error)
		return SHUN_NEW;
	shun = bpf_map_lookup_elem(&shuns, &packet->source_key);
	if (!shun) {
		*ttl_ns = 0;
		return error == -E2BIG ? SHUN_NEW_BUT_FULL : SHUN_NEW;
	}
	word = *shun_word(shun);
	if ((word & SHUN_REPEATS_MASK) < SHUN_REPEATS_MAX)
		word = __sync_fetch_and_add(shun_word(shun), 1) + 1;
	*ttl_ns = shun_ttl(config, word & SHUN_REPEATS_MASK);
	raise_shuns_until(now + *ttl_ns);
	old = shun->expires_ns;
	if (old > now) {
		shun->expires_ns = now + *ttl_ns;
	} else if (__sync_val_compare_and_swap(&shun->expires_ns, old, now + *ttl_ns) == old) {
		shun->drops = 0;
		shun->reasons = reasons;
		shun->kinds = kind;
		return SHUN_NEW;
	}
	__sync_fetch_and_or(&shun->reasons, reasons);
	word = __sync_fetch_and_or(shun_word(shun), kind << SHUN_KINDS_SHIFT);
	return word >> SHUN_KINDS_SHIFT & kind ? SHUN_OLD : SHUN_NEW;
}

/* `flooded` of the specification. */
__noinline __u32 answer_flood(const struct hm_config *config, struct hm_packet *packet, __u32 kind, __u32 rate)
{
	struct hm_finding finding = { .kind = HM_EVENT_FLOOD, .reasons = HM_REASON_FLOOD, .rate = rate };
	__u64 ttl_ns = 0;
	int made;

	if (!config || !packet)
		return HM_DROP_FLOOD;
	finding.port = packet->port;
	finding.verdict = is_proven(config, packet) ? HM_DROP_POLICED : HM_DROP_FLOOD;
	made = make_shun(config, packet, kind, HM_REASON_FLOOD, &ttl_ns);
	if (made == SHUN_NEW_BUT_FULL)
		say_full(config, packet);
	if (made != SHUN_OLD) {
		finding.shun_ms = ttl_ns / NS_PER_MS;
		tell_lo(config, packet, &finding);
	}
	return finding.verdict;
}

#endif
