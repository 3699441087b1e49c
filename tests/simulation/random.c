/* SPDX-License-Identifier: MIT */
#include "random.h"

static uint64_t state;

void random_seed(uint64_t seed)
{
        state = seed;
}

/* SplitMix64 (Steele, Lea, Flood 2014): every seed is a good one, and there is no state but a counter. */
uint64_t random_bits(void)
{
        uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        return z ^ z >> 31;
}

uint64_t random_below(uint64_t n)
{
        assert(n > 0);

        return (uint64_t) ((unsigned __int128) random_bits() * n >> 64);
}

uint64_t random_between(uint64_t low, uint64_t high)
{
        return low + random_below(high - low + 1);
}

bool random_chance(unsigned per_mille)
{
        return per_mille > 0 && random_below(1000) < per_mille;
}

usec_t random_span(usec_t low, usec_t high)
{
        unsigned doublings = 0;

        while (low << doublings < high)
                doublings++;
        high >>= random_below(doublings + 1);
        return random_between(low, MAX(low, high));
}
