/* SPDX-License-Identifier: MIT */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "line-channel.h"

#define READ_SIZE       65536
#define FLUSH_WAIT_MSEC 1000

typedef struct Buffer {
        char *data;
        size_t size, allocated;
} Buffer;

struct LineChannel {
        int fd;
        sd_event_source *io;
        LineHandlers handlers;
        Buffer in, out;
};

static void buffer_add(Buffer *buffer, const char *data, size_t size)
{
        if (buffer->size + size > buffer->allocated) {
                size_t allocated = MAX(buffer->allocated * 2, buffer->size + size);
                char *grown = realloc(buffer->data, allocated);

                assert(grown);
                buffer->data = grown;
                buffer->allocated = allocated;
        }
        memcpy(buffer->data + buffer->size, data, size);
        buffer->size += size;
}

static void buffer_drop(Buffer *buffer, size_t n)
{
        memmove(buffer->data, buffer->data + n, buffer->size - n);
        buffer->size -= n;
}

static void channel_write(LineChannel *channel)
{
        while (channel->out.size > 0) {
                ssize_t n = send(channel->fd, channel->out.data, channel->out.size, MSG_DONTWAIT | MSG_NOSIGNAL);

                if (n < 0)
                        break; /* the end shows up when reading */
                buffer_drop(&channel->out, (size_t) n);
        }
        (void) sd_event_source_set_io_events(channel->io, EPOLLIN | (channel->out.size > 0 ? (uint32_t) EPOLLOUT : 0));
}

static void channel_take_lines(LineChannel *channel)
{
        size_t start = 0;
        char *end;

        while (start < channel->in.size && (end = memchr(channel->in.data + start, '\n', channel->in.size - start))) {
                size_t size = (size_t) (end - channel->in.data) - start;
                _cleanup_json_ json_object *message = json_parse(channel->in.data + start, size);

                start += size + 1;
                if (message)
                        channel->handlers.on_message(channel->handlers.userdata, message);
        }
        if (start > 0)
                buffer_drop(&channel->in, start);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        LineChannel *channel = userdata;
        char buffer[READ_SIZE];
        ssize_t n;

        if (revents & EPOLLOUT)
                channel_write(channel);
        if (!(revents & (EPOLLIN | EPOLLHUP | EPOLLERR)))
                return 0;

        n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n <= 0) {
                (void) sd_event_source_set_enabled(channel->io, SD_EVENT_OFF);
                channel->handlers.on_end(channel->handlers.userdata);
                return 0;
        }
        buffer_add(&channel->in, buffer, (size_t) n);
        channel_take_lines(channel);
        return 0;
}

int line_channel_new(LineChannel **ret, sd_event *event, int fd, const LineHandlers *handlers)
{
        LineChannel *channel = calloc(1, sizeof(*channel));
        int one = 1, r;

        assert(channel);
        /* Else a message on the heels of another waits for the other end's delayed acknowledgement, 40 ms. */
        (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        channel->fd = fd;
        channel->handlers = *handlers;
        r = sd_event_add_io(event, &channel->io, fd, EPOLLIN | EPOLLOUT, on_io, channel);
        if (r < 0) {
                channel->fd = -EBADF;
                line_channel_free(channel);
                return r;
        }
        *ret = channel;
        return 0;
}

LineChannel *line_channel_free(LineChannel *channel)
{
        if (!channel)
                return NULL;

        sd_event_source_disable_unref(channel->io);
        closep(&channel->fd);
        free(channel->in.data);
        free(channel->out.data);
        free(channel);
        return NULL;
}

void line_channel_send(LineChannel *channel, json_object *message)
{
        _cleanup_json_ json_object *owned = message;
        const char *text = json_plain(owned);

        buffer_add(&channel->out, text, strlen(text));
        buffer_add(&channel->out, "\n", 1);
        channel_write(channel);
}

void line_channel_flush(LineChannel *channel)
{
        struct pollfd ready = { .fd = channel->fd, .events = POLLOUT };

        while (channel->out.size > 0 && poll(&ready, 1, FLUSH_WAIT_MSEC) > 0) {
                if (ready.revents & (POLLERR | POLLHUP))
                        return;
                channel_write(channel);
        }
}
