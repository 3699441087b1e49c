/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

#include "base/parse-util.h"

typedef struct Unit {
        const char *name;
        uint64_t factor;
} Unit;

static const Unit time_units[] = {
        { "", USEC_PER_SEC },
        { "us", 1 },
        { "usec", 1 },
        { "ms", USEC_PER_MSEC },
        { "msec", USEC_PER_MSEC },
        { "s", USEC_PER_SEC },
        { "sec", USEC_PER_SEC },
        { "second", USEC_PER_SEC },
        { "seconds", USEC_PER_SEC },
        { "m", USEC_PER_MIN },
        { "min", USEC_PER_MIN },
        { "minute", USEC_PER_MIN },
        { "minutes", USEC_PER_MIN },
        { "h", USEC_PER_HOUR },
        { "hr", USEC_PER_HOUR },
        { "hour", USEC_PER_HOUR },
        { "hours", USEC_PER_HOUR },
        { "d", 24 * USEC_PER_HOUR },
        { "day", 24 * USEC_PER_HOUR },
        { "days", 24 * USEC_PER_HOUR },
        { "w", 7 * 24 * USEC_PER_HOUR },
        { "week", 7 * 24 * USEC_PER_HOUR },
        { "weeks", 7 * 24 * USEC_PER_HOUR },
};

static const Unit size_units[] = {
        { "", 1 },
        { "K", UINT64_C(1) << 10 },
        { "M", UINT64_C(1) << 20 },
        { "G", UINT64_C(1) << 30 },
        { "T", UINT64_C(1) << 40 },
};

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

static const char *skip_blanks(const char *s)
{
        return s + strspn(s, " \t");
}

/* Reads digits; *s moves behind them. */
static int take_number(const char **s, uint64_t *ret)
{
        uint64_t n = 0;

        if (!is_digit(**s))
                return -EINVAL;
        for (; is_digit(**s); (*s)++) {
                uint64_t digit = (uint64_t) (**s - '0');

                if (__builtin_mul_overflow(n, UINT64_C(10), &n) || __builtin_add_overflow(n, digit, &n))
                        return -ERANGE;
        }
        *ret = n;
        return 0;
}

/* Reads the letters of a unit; *s moves behind them. */
static int take_unit(const char **s, const Unit *units, size_t n_units, uint64_t *ret_factor)
{
        size_t length = 0;

        while (((*s)[length] >= 'a' && (*s)[length] <= 'z') || ((*s)[length] >= 'A' && (*s)[length] <= 'Z'))
                length++;
        for (size_t i = 0; i < n_units; i++)
                if (strlen(units[i].name) == length && memcmp(units[i].name, *s, length) == 0) {
                        *s += length;
                        *ret_factor = units[i].factor;
                        return 0;
                }
        return -EINVAL;
}

/* ".5" of a unit; digits below a microsecond are read and dropped. */
static int take_fraction(const char **s, uint64_t *ret_digits, uint64_t *ret_scale)
{
        uint64_t digits = 0, scale = 1;

        if (**s == '.') {
                (*s)++;
                if (!is_digit(**s))
                        return -EINVAL;
                for (; is_digit(**s); (*s)++)
                        if (scale < 1000000) {
                                digits = 10 * digits + (uint64_t) (**s - '0');
                                scale *= 10;
                        }
        }
        *ret_digits = digits;
        *ret_scale = scale;
        return 0;
}

static int take_span(const char **s, usec_t *ret)
{
        uint64_t number, digits, scale, factor;
        usec_t span;
        int r;

        r = take_number(s, &number);
        if (r < 0)
                return r;
        r = take_fraction(s, &digits, &scale);
        if (r < 0)
                return r;
        *s = skip_blanks(*s);
        r = take_unit(s, time_units, ELEMENTSOF(time_units), &factor);
        if (r < 0)
                return r;
        if (__builtin_mul_overflow(number, factor, &span) ||
            __builtin_add_overflow(span, digits * factor / scale, &span) || span == USEC_INFINITY)
                return -ERANGE;
        *ret = span;
        return 0;
}

int parse_sec(const char *s, usec_t *ret)
{
        usec_t sum = 0, span;
        int r;

        s = skip_blanks(s);
        if (streq(s, "infinity")) {
                *ret = USEC_INFINITY;
                return 0;
        }
        do {
                r = take_span(&s, &span);
                if (r < 0)
                        return r;
                if (__builtin_add_overflow(sum, span, &sum) || sum == USEC_INFINITY)
                        return -ERANGE;
                s = skip_blanks(s);
        } while (*s);
        *ret = sum;
        return 0;
}

int parse_unsigned(const char *s, uint64_t *ret)
{
        uint64_t n;
        int r;

        r = take_number(&s, &n);
        if (r < 0)
                return r;
        if (*s)
                return -EINVAL;
        *ret = n;
        return 0;
}

int parse_size(const char *s, uint64_t *ret)
{
        uint64_t n, factor;
        int r;

        r = take_number(&s, &n);
        if (r < 0)
                return r;
        r = take_unit(&s, size_units, ELEMENTSOF(size_units), &factor);
        if (r < 0)
                return r;
        if (*s)
                return -EINVAL;
        return __builtin_mul_overflow(n, factor, ret) ? -ERANGE : 0;
}

int parse_boolean(const char *s, bool *ret)
{
        static const char *const words[][4] = {
                { "no", "false", "off", "0" },
                { "yes", "true", "on", "1" },
        };

        for (size_t value = 0; value < ELEMENTSOF(words); value++)
                FOREACH_ELEMENT(word, words[value])
                        if (strcasecmp(s, *word) == 0) {
                                *ret = value;
                                return 0;
                        }
        return -EINVAL;
}

const char *format_span(char buffer[static FORMAT_MAX], usec_t usec)
{
        static const Unit units[] = { { "h", USEC_PER_HOUR }, { "min", USEC_PER_MIN }, { "s", USEC_PER_SEC } };

        if (usec == USEC_INFINITY)
                return "infinity";
        FOREACH_ELEMENT(u, units)
                if (usec >= u->factor && usec % u->factor == 0) {
                        snprintf(buffer, FORMAT_MAX, "%" PRIu64 "%s", usec / u->factor, u->name);
                        return buffer;
                }
        snprintf(buffer, FORMAT_MAX, "%" PRIu64 "ms", usec / USEC_PER_MSEC);
        return usec == 0 ? "0" : buffer;
}

const char *format_size(char buffer[static FORMAT_MAX], uint64_t size)
{
        const Unit *u = size_units + ELEMENTSOF(size_units) - 1;

        while (u > size_units && (size == 0 || size % u->factor != 0))
                u--;
        snprintf(buffer, FORMAT_MAX, "%" PRIu64 "%s", size / u->factor, u->name);
        return buffer;
}
