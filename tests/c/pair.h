/*
 * Two engines in one program and what is between them, in virtual time: no socket, no clock. What
 * a program of its own does about events, datagrams and updates of media, it says itself.
 */
#ifndef PAIR_H
#define PAIR_H

#include "check.h"

#include <fcntl.h>
#include <unistd.h>

#define FRAME 320 /* 20 ms at 16 kHz */

struct phone {
    subrosa_engine *engine;
    const char *name;
    uint64_t account, call, listener;
    uint64_t wake_at;
    uint64_t socket[8];   /* open UDP sockets ... */
    uint16_t port[8];     /* ... and their ports */
    uint16_t next_port;
    uint8_t net;          /* the network that it is on */
    uint64_t stream;      /* the one TCP connection */
    int established, ended, digits, silent, resumed, padlock, refused;
    int64_t energy;
};

static struct phone alice = {.name = "alice"}, bob = {.name = "bob"};
static uint64_t now;

static void on_event(struct phone *p, const subrosa_event *e);
static void on_update(struct phone *p, const subrosa_output *o);
static void receive(struct phone *to, uint64_t socket, subrosa_addr from, uint8_t *bytes,
                    size_t len);

static struct phone *other(struct phone *p) { return p == &alice ? &bob : &alice; }

static subrosa_addr address(const struct phone *p, uint16_t port) {
    subrosa_addr a;
    memset(&a, 0, sizeof a);
    a.ip[0] = 10;
    a.ip[2] = p->net;
    a.ip[3] = p == &alice ? 1 : 2;
    a.port = port;
    a.family = 4;
    return a;
}

static char *read_file(const char *folder, const char *name) {
    char path[512];
    static char text[65536];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    size_t n = fread(text, 1, sizeof text - 1, file);
    text[n] = 0;
    fclose(file);
    return text;
}

static void set_up(struct phone *p, const char *folder, uint8_t seed) {
    char name[64], *copy, where[32];
    subrosa_config *config = new_config(seed);
    snprintf(where, sizeof where, "10.0.0.%d", p == &alice ? 1 : 2);
    IS(subrosa_config_set_local_ip(config, str(where)), SUBROSA_OK);
    IS(subrosa_config_set_trust_pem(config, str(read_file(folder, "ca.pem"))), SUBROSA_OK);
    IS(subrosa_config_set_sip_trace(config, p == &bob), SUBROSA_OK);
    IS(subrosa_config_set_udp_port(config, 5060), SUBROSA_OK);
    snprintf(name, sizeof name, "%s.pem", p->name);
    copy = strdup(read_file(folder, name));
    snprintf(name, sizeof name, "%s.key.pem", p->name);
    IS(subrosa_config_set_identity_pem(config, str(copy), str(read_file(folder, name))), SUBROSA_OK);
    free(copy);
    snprintf(where, sizeof where, "10.0.0.%d:5061", p == &alice ? 1 : 2);
    IS(subrosa_config_set_listen_tls(config, str(where)), SUBROSA_OK);
    IS(subrosa_engine_new(config, now, &p->engine), SUBROSA_OK);
    subrosa_config_free(config);
    snprintf(name, sizeof name, "sip:%s@%s.test", p->name, p->name);
    p->account = add_account(p->engine, name, SUBROSA_POLICY_REQUIRED);
    p->next_port = 30000;
}

static void resolve(struct phone *p, const subrosa_output *o) {
    subrosa_dns_record record;
    memset(&record, 0, sizeof record);
    if (o->dns_kind != SUBROSA_DNS_A) {
        IS(subrosa_engine_handle_resolved(p->engine, now, o->id, SUBROSA_DNS_NOT_FOUND, NULL, 0),
           SUBROSA_OK);
        return;
    }
    record.kind = SUBROSA_DNS_A;
    subrosa_addr a = address(&bob, 0);
    memcpy(record.ip, a.ip, sizeof a.ip);
    IS(subrosa_engine_handle_resolved(p->engine, now, o->id, SUBROSA_DNS_RECORDS, &record, 1),
       SUBROSA_OK);
}

static void bind_udp(struct phone *p, const subrosa_output *o) {
    for (int i = 0; i < 8; i++) {
        if (p->socket[i]) continue;
        p->socket[i] = o->id;
        p->port[i] = o->addr.port ? o->addr.port : p->next_port++;
        IS(subrosa_engine_handle_udp_bound(p->engine, now, o->id, address(p, p->port[i])),
           SUBROSA_OK);
        return;
    }
    CHECK(!"more sockets than a call needs");
}

/* What leaves is written to nowhere, because valgrind looks whether each byte was ever given a
 * value where the system takes it. */
static void leave(const uint8_t *data, size_t len) {
    static int nowhere = -1;
    if (nowhere < 0) nowhere = open("/dev/null", O_WRONLY);
    CHECK(write(nowhere, data, len) == (ssize_t)len);
}

/* A datagram on its way from a socket of ours to an address of the far end. */
static void deliver(struct phone *p, uint64_t socket, uint16_t port, const uint8_t *data, size_t len) {
    struct phone *to = other(p);
    uint8_t copy[2048];
    uint16_t from = 0;
    for (int i = 0; i < 8; i++)
        if (p->socket[i] == socket) from = p->port[i];
    CHECK(from && len <= sizeof copy);
    leave(data, len);
    memcpy(copy, data, len);
    for (int i = 0; i < 8; i++)
        if (to->socket[i] && to->port[i] == port)
            receive(to, to->socket[i], address(p, from), copy, len);
}

static int drain(struct phone *p) {
    static uint8_t buffer[4096];
    subrosa_output o = {.size = sizeof o};
    struct phone *far = other(p);
    for (int done = 0;; done++) {
        IS(subrosa_engine_poll_output(p->engine, buffer, sizeof buffer, &o), SUBROSA_OK);
        switch (o.kind) {
        case SUBROSA_OUTPUT_TIMEOUT:
            p->wake_at = o.has_at ? o.at_us : UINT64_MAX;
            return done;
        case SUBROSA_OUTPUT_BIND_UDP: bind_udp(p, &o); break;
        case SUBROSA_OUTPUT_CLOSE_UDP:
            for (int i = 0; i < 8; i++)
                if (p->socket[i] == o.id) p->socket[i] = 0;
            break;
        case SUBROSA_OUTPUT_LISTEN:
            p->listener = o.id;
            IS(subrosa_engine_handle_listening(p->engine, now, o.id, o.addr), SUBROSA_OK);
            break;
        case SUBROSA_OUTPUT_RESOLVE: resolve(p, &o); break;
        case SUBROSA_OUTPUT_CONNECT:
            p->stream = o.id;
            IS(subrosa_engine_accept_stream(far->engine, now, far->listener, address(p, 40000),
                                            o.addr, &far->stream), SUBROSA_OK);
            IS(subrosa_engine_handle_stream_connected(p->engine, now, o.id, address(p, 40000)),
               SUBROSA_OK);
            break;
        case SUBROSA_OUTPUT_STREAM_DATA:
            leave(o.data, o.data_len);
            if (far->stream)
                IS(subrosa_engine_handle_stream_data(far->engine, now, far->stream, o.data,
                                                     o.data_len), SUBROSA_OK);
            break;
        case SUBROSA_OUTPUT_CLOSE_STREAM:
            p->stream = 0;
            /* The far end may have closed it already, told so by TLS. */
            if (far->stream)
                subrosa_engine_handle_stream_closed(far->engine, now, far->stream);
            far->stream = 0;
            break;
        case SUBROSA_OUTPUT_DATAGRAM:
            deliver(p, o.id, o.addr.port, o.data, o.data_len);
            break;
        case SUBROSA_OUTPUT_MEDIA: on_update(p, &o); break;
        case SUBROSA_OUTPUT_EVENT: on_event(p, &o.event); break;
        default: CHECK(!"an output that this program does not expect");
        }
    }
}

static void settle(void) {
    while (drain(&alice) + drain(&bob) > 0) {
    }
}

#endif
