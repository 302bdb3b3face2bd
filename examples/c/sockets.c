/* The sockets of the desk phone: what the engine asks for is opened, written and closed. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "desk.h"

#define MAX_PENDING (256 * 1024) /* bytes that may wait for a slow connection */

struct slot slots[MAX_SOCKETS];

/* ---- addresses ---- */

socklen_t to_sockaddr(subrosa_addr a, struct sockaddr_storage *out) {
    memset(out, 0, sizeof *out);
    if (a.family == 6) {
        struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(a.port);
        memcpy(&six->sin6_addr, a.ip, 16);
        return sizeof *six;
    }
    struct sockaddr_in *four = (struct sockaddr_in *)out;
    four->sin_family = AF_INET;
    four->sin_port = htons(a.port);
    memcpy(&four->sin_addr, a.ip, 4);
    return sizeof *four;
}

subrosa_addr from_sockaddr(const struct sockaddr_storage *in) {
    subrosa_addr a;
    memset(&a, 0, sizeof a);
    if (in->ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)in;
        a.family = 6;
        a.port = ntohs(six->sin6_port);
        memcpy(a.ip, &six->sin6_addr, 16);
    } else {
        const struct sockaddr_in *four = (const struct sockaddr_in *)in;
        a.family = 4;
        a.port = ntohs(four->sin_port);
        memcpy(a.ip, &four->sin_addr, 4);
    }
    return a;
}
subrosa_addr local_address(int fd) {
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;
    memset(&sa, 0, sizeof sa);
    getsockname(fd, (struct sockaddr *)&sa, &len);
    return from_sockaddr(&sa);
}

/* ---- sockets ---- */

struct slot *new_slot(enum kind kind, int fd, uint64_t id) {
    for (int i = 0; i < MAX_SOCKETS; i++) {
        if (slots[i].kind != UNUSED) continue;
        slots[i] = (struct slot){.kind = kind, .fd = fd, .id = id};
        return &slots[i];
    }
    return NULL;
}

static int is_stream(const struct slot *s) { return s->kind == STREAM || s->kind == CONNECTING; }

static struct slot *find_stream(uint64_t id) {
    for (int i = 0; i < MAX_SOCKETS; i++)
        if (is_stream(&slots[i]) && slots[i].id == id && !slots[i].closing) return &slots[i];
    return NULL;
}

struct slot *find_udp(uint64_t id) {
    for (int i = 0; i < MAX_SOCKETS; i++)
        if (slots[i].kind == UDP && slots[i].id == id) return &slots[i];
    return NULL;
}

void drop_slot(struct slot *s) {
    close(s->fd);
    free(s->pending);
    memset(s, 0, sizeof *s);
}

/* A stream broke: the engine is told, unless it was the engine that closed it. */
void stream_broke(struct slot *s) {
    struct slot old = *s;
    drop_slot(s);
    if (!old.closing) subrosa_engine_handle_stream_closed(engine, now_us(), old.id);
}

static int open_socket(subrosa_addr addr, int type) {
    int fd = socket(addr.family == 6 ? AF_INET6 : AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int one = 1;
    if (fd >= 0 && type == SOCK_STREAM) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

void do_bind_udp(const subrosa_output *o) {
    struct sockaddr_storage sa;
    socklen_t len = to_sockaddr(o->addr, &sa);
    int fd = open_socket(o->addr, SOCK_DGRAM);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&sa, len) == 0 && new_slot(UDP, fd, o->id)) {
        must(subrosa_engine_handle_udp_bound(engine, now_us(), o->id, local_address(fd)), "bind");
        return;
    }
    if (fd >= 0) close(fd);
    must(subrosa_engine_handle_udp_bind_failed(engine, now_us(), o->id), "bind");
}

void do_listen(const subrosa_output *o) {
    struct sockaddr_storage sa;
    socklen_t len = to_sockaddr(o->addr, &sa);
    int one = 1, fd = open_socket(o->addr, SOCK_STREAM);
    if (fd >= 0) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&sa, len) == 0 && listen(fd, 16) == 0 &&
        new_slot(LISTENER, fd, o->id)) {
        must(subrosa_engine_handle_listening(engine, now_us(), o->id, local_address(fd)), "listen");
        return;
    }
    if (fd >= 0) close(fd);
    must(subrosa_engine_handle_listen_failed(engine, now_us(), o->id), "listen");
}

void do_connect(const subrosa_output *o) {
    struct sockaddr_storage sa;
    socklen_t len = to_sockaddr(o->addr, &sa);
    int fd = open_socket(o->addr, SOCK_STREAM);
    if (fd >= 0 && (connect(fd, (struct sockaddr *)&sa, len) == 0 || errno == EINPROGRESS) &&
        new_slot(CONNECTING, fd, o->id))
        return; /* poll() tells when it is done */
    if (fd >= 0) close(fd);
    subrosa_engine_handle_stream_closed(engine, now_us(), o->id);
}

/* Sends what waits; what the kernel does not take goes on waiting. */
void flush(struct slot *s) {
    while (s->kind == STREAM && s->pending_len) {
        ssize_t n = send(s->fd, s->pending, s->pending_len, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (n < 0) {
            stream_broke(s);
            return;
        }
        s->pending_len -= (size_t)n;
        memmove(s->pending, s->pending + n, s->pending_len);
    }
    if (s->closing && !s->pending_len) drop_slot(s);
}

void do_stream_data(const subrosa_output *o) {
    struct slot *s = find_stream(o->id);
    uint8_t *grown;
    if (!s) return;
    if (s->pending_len + o->data_len > MAX_PENDING ||
        !(grown = realloc(s->pending, s->pending_len + o->data_len))) {
        stream_broke(s);
        return;
    }
    s->pending = grown;
    memcpy(s->pending + s->pending_len, o->data, o->data_len);
    s->pending_len += o->data_len;
    flush(s);
}

void do_close_stream(const subrosa_output *o) {
    struct slot *s = find_stream(o->id);
    if (!s) return;
    s->closing = 1;
    if (s->kind == CONNECTING) drop_slot(s);
    else flush(s);
}
