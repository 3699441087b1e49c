/* SPDX-License-Identifier: MIT */
#include <time.h>

#include "base/parse-util.h"
#include "ctl/ctl-until.h"

static int tm_to_usec(struct tm tm, usec_t *ret)
{
        time_t t;

        tm.tm_isdst = -1; /* whichever holds then */
        t = mktime(&tm);
        if (t < 0)
                return -EINVAL;
        *ret = (usec_t) t * USEC_PER_SEC;
        return 0;
}

/* Today or, where that is over, tomorrow, and for `over` the other way round; mktime() takes a day too many for the
 * first of the next month, and one too few for the last of the month before. */
static int time_of_day(struct tm tm, usec_t now_usec, bool over, usec_t *ret)
{
        time_t now = (time_t) (now_usec / USEC_PER_SEC);
        struct tm today;
        int r;

        if (!localtime_r(&now, &today))
                return -EINVAL;
        today.tm_hour = tm.tm_hour;
        today.tm_min = tm.tm_min;
        today.tm_sec = tm.tm_sec;
        r = tm_to_usec(today, ret);
        if (r == 0 && (*ret > now_usec) != over)
                return 0;
        today.tm_mday += over ? -1 : 1;
        return tm_to_usec(today, ret);
}

static int parse_epoch(const char *s, usec_t *ret)
{
        unsigned long long seconds;
        char *end;

        if (s[0] < '0' || s[0] > '9')
                return -EINVAL;
        errno = 0;
        seconds = strtoull(s, &end, 10);
        if (errno != 0 || *end || seconds >= USEC_INFINITY / USEC_PER_SEC)
                return -EINVAL;
        *ret = seconds * USEC_PER_SEC;
        return 0;
}

/* strptime() lets 30 February pass, which mktime() would make a day of March. */
static bool is_date(const struct tm *tm)
{
        static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
        int year = tm->tm_year + 1900;
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

        return tm->tm_mday <= days[tm->tm_mon] + (tm->tm_mon == 1 && leap);
}

static int parse_moment(const char *s, usec_t now_usec, bool over, usec_t *ret)
{
        static const struct {
                const char *format;
                bool has_date;
        } shapes[] = {
                { "%H:%M", false },
                { "%H:%M:%S", false },
                { "%Y-%m-%d", true },
                { "%Y-%m-%d %H:%M", true },
                { "%Y-%m-%d %H:%M:%S", true },
                { "%Y-%m-%dT%H:%M", true },
                { "%Y-%m-%dT%H:%M:%S", true },
        };

        if (s[0] == '@')
                return parse_epoch(s + 1, ret);
        FOREACH_ELEMENT(shape, shapes) {
                struct tm tm = { .tm_mday = 1 };
                const char *end = strptime(s, shape->format, &tm);

                if (!end || *end)
                        continue;
                if (!shape->has_date)
                        return time_of_day(tm, now_usec, over, ret);
                return is_date(&tm) ? tm_to_usec(tm, ret) : -EINVAL;
        }
        return -EINVAL;
}

int parse_until(const char *s, usec_t now_usec, usec_t *ret)
{
        usec_t until_usec;
        int r;

        r = parse_moment(s, now_usec, false, &until_usec);
        if (r < 0)
                return r;
        if (until_usec <= now_usec)
                return -EINVAL;
        *ret = until_usec;
        return 0;
}

int parse_since(const char *s, usec_t now_usec, usec_t *ret)
{
        usec_t since_usec, span_usec;

        if (parse_moment(s, now_usec, true, &since_usec) < 0) {
                if (parse_sec(s, &span_usec) < 0 || span_usec > now_usec)
                        return -EINVAL;
                since_usec = now_usec - span_usec;
        }
        if (since_usec > now_usec)
                return -EINVAL;
        *ret = since_usec;
        return 0;
}
