/* SPDX-License-Identifier: MIT */
#include "io/bus-queue.h"

struct BusQueued {
        BusQueue *queue; /* NULL once it was answered: then it is its owner's alone */
        BusQueued *previous, *next;
        sd_bus_message *message;
        sd_bus_slot *slot; /* NULL until it is sent */
        usec_t timeout_usec;
        sd_bus_message_handler_t handler; /* NULL: its owner has gone */
        void *userdata;
};

static void queued_leave(BusQueued *c)
{
        BusQueue *q = c->queue;

        if (!q)
                return;
        *(c->previous ? &c->previous->next : &q->first) = c->next;
        *(c->next ? &c->next->previous : &q->last) = c->previous;
        c->queue = NULL;
}

static void queued_destroy(BusQueued *c)
{
        queued_leave(c);
        sd_bus_slot_unref(c->slot);
        sd_bus_message_unref(c->message);
        free(c);
}

static int on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error);

static int queued_send(BusQueued *c)
{
        int r;

        r = sd_bus_call_async(sd_bus_message_get_bus(c->message), &c->slot, c->message, on_reply, c, c->timeout_usec);
        if (r >= 0)
                c->queue->n_under_way++;
        return r;
}

static bool has_room(const BusQueue *q)
{
        return q->n_under_way < (q->under_way_max ?: BUS_QUEUE_UNDER_WAY_MAX);
}

/* Whatever keeps one from being sent, no memory for instance, is tried again after the next answer: in a full queue
 * there always is one to come. Without a connection the process ends. */
static void queue_go_on(BusQueue *q)
{
        for (BusQueued *c = q->first; c && has_room(q); c = c->next)
                if (!c->slot && queued_send(c) < 0)
                        return;
}

static int on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        BusQueued *c = userdata;
        BusQueue *q = c->queue;
        sd_bus_message_handler_t handler = c->handler;
        void *handler_userdata = c->userdata;

        queued_leave(c);
        q->n_under_way--;
        if (!handler)
                queued_destroy(c);
        queue_go_on(q);
        return handler ? handler(reply, handler_userdata, ret_error) : 0;
}

int bus_queue_call(BusQueue *q, BusQueued **ret, sd_bus_message *m, sd_bus_message_handler_t handler, void *userdata,
                   usec_t timeout_usec)
{
        BusQueued *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        *c = (BusQueued){
                .queue = q,
                .previous = q->last,
                .message = sd_bus_message_ref(m),
                .timeout_usec = timeout_usec,
                .handler = handler,
                .userdata = userdata,
        };
        *(q->last ? &q->last->next : &q->first) = c;
        q->last = c;

        if (has_room(q)) {
                int r = queued_send(c);

                if (r < 0) {
                        queued_destroy(c);
                        return r;
                }
        }
        *ret = c;
        return 0;
}

BusQueued *bus_queued_free(BusQueued *c)
{
        if (!c)
                return NULL;
        c->handler = NULL;
        if (!c->queue || !c->slot)
                queued_destroy(c);
        return NULL;
}

void bus_queue_done(BusQueue *q)
{
        while (q->first)
                queued_destroy(q->first);
        q->n_under_way = 0;
}
