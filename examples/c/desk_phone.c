/*
 * A desk phone: what the main loop of a phone's firmware looks like around the engine.
 *
 * One thread, one poll(2) loop. The engine speaks SIP, TLS, SDP and SRTP; this file waits, asks
 * the DNS for it, and gives it PCM every 20 ms; sockets.c moves its bytes; options.c reads the
 * command line. No TLS library,
 * no SIP library: only the engine.
 *
 *   cc -Iinclude examples/c/desk_phone.c examples/c/sockets.c examples/c/options.c \
 *      examples/c/dns.c examples/c/wav.c libsubrosa.a -lpthread -ldl -lm
 *
 * Every function of the engine returns a status: must() prints what went wrong and ends.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "desk.h"
#include "dns.h"
#include "wav.h"

#define RATE 16000
#define FRAME (RATE / 50)      /* samples in 20 ms */

/* ---- state ---- */

subrosa_engine *engine;
static uint64_t account, call;
static uint64_t wake_at = UINT64_MAX; /* when the engine wants a timeout */
static uint64_t next_frame;           /* when the next 20 ms of audio are due; 0: no audio */
static uint64_t hang_up_at = UINT64_MAX;
static int ended, was_established, secure, registered;
static int failed_listen;
static struct wav_player player;
static struct wav_recorder recorder;
static volatile sig_atomic_t stop_asked;

uint64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t unix_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static subrosa_str str(const char *text) {
    subrosa_str s = {text, text ? strlen(text) : 0};
    return s;
}

void fatal(const char *what, const char *why) {
    fprintf(stderr, "desk_phone: %s: %s\n", what, why);
    exit(1);
}

void must(subrosa_status status, const char *what) {
    subrosa_str why = {NULL, 0};
    if (status == SUBROSA_OK) return;
    if (engine && subrosa_engine_last_error(engine, &why) == SUBROSA_OK && why.len)
        fprintf(stderr, "desk_phone: %s: %.*s\n", what, (int)why.len, why.ptr);
    fatal(what, subrosa_status_text(status));
}

/* The DNS: asked and answered without waiting (dns.c). */
static void resolved(const struct dns_answer *a) {
    must(subrosa_engine_handle_resolved(engine, now_us(), a->query, a->result, a->records, a->count),
         "resolve");
}

static void ask_dns(const subrosa_output *o) {
    static struct dns_answer answer;
    if (dns_ask(now_us(), o->id, o->name, o->dns_kind, &answer)) resolved(&answer);
}

static void hear_dns(void) {
    static struct dns_answer answer;
    int got;
    while ((got = dns_read(&answer)) >= 0)
        if (got) resolved(&answer);
}

static void ask_dns_again(void) {
    static struct dns_answer answer;
    while (dns_again(now_us(), &answer)) resolved(&answer);
}

/* ---- the screen ---- */

static void show_security(void) {
    subrosa_security_report report = {.size = sizeof report};
    if (subrosa_call_security(engine, call, &report) != SUBROSA_OK) return;
    secure = report.padlock >= SUBROSA_PADLOCK_ENCRYPTED_TO_PROVIDER;
    printf("padlock: %.*s\n", (int)report.padlock_text.len, report.padlock_text.ptr);
}

static void show_summary(void) {
    subrosa_security_report report = {.size = sizeof report};
    subrosa_media_stats stats = {.size = sizeof stats};
    if (subrosa_call_security(engine, call, &report) == SUBROSA_OK)
        printf("security: %.*s\n", (int)report.text.len, report.text.ptr);
    if (subrosa_call_media_stats(engine, call, &stats) == SUBROSA_OK)
        printf("media: sent %llu, received %llu, lost %lld, jitter %llu us\n",
               (unsigned long long)stats.packets_sent, (unsigned long long)stats.packets_received,
               (long long)stats.lost, (unsigned long long)stats.jitter_us);
}

static void start_call(void) {
    subrosa_call_options options = {.size = sizeof options};
    must(subrosa_call_options_init(&options), "options");
    options.policy = opt.policy;
    options.sample_rate = RATE;
    must(subrosa_engine_place_call(engine, now_us(), account, str(opt.call), &options, &call),
         "call");
    printf("calling %s\n", opt.call);
}

static void incoming(const subrosa_event *e) {
    subrosa_call_options options = {.size = sizeof options};
    printf("incoming call from %.*s\n", (int)e->from.len, e->from.ptr);
    if (!opt.answer || call) {
        subrosa_call_reject(engine, now_us(), e->call, 486); /* busy; it may be gone already */
        return;
    }
    call = e->call;
    must(subrosa_call_options_init(&options), "options");
    options.policy = opt.policy;
    options.sample_rate = RATE;
    if (subrosa_call_accept(engine, now_us(), call, &options) != SUBROSA_OK)
        printf("the caller was faster\n");
}

static void established(void) {
    was_established = 1;
    next_frame = now_us();
    hang_up_at = now_us() + (uint64_t)opt.seconds * 1000000;
    printf("established\n");
    for (const char *digit = opt.dtmf; digit && *digit; digit++)
        subrosa_call_send_dtmf(engine, now_us(), call, (uint8_t)*digit, 120);
}

static void on_event(const subrosa_event *e) {
    char text[64] = "";
    switch (e->kind) {
    case SUBROSA_EVENT_LISTENING:
        subrosa_addr_text(e->addr, text, sizeof text);
        printf("listening: %s %s\n", e->transport == SUBROSA_TRANSPORT_TLS ? "tls" :
               e->transport == SUBROSA_TRANSPORT_TCP ? "tcp" : "udp", text);
        break;
    case SUBROSA_EVENT_LISTEN_FAILED: failed_listen = 1; break;
    case SUBROSA_EVENT_REGISTERED:
        registered = 1;
        printf("registered\n");
        if (opt.call && !call) start_call();
        break;
    case SUBROSA_EVENT_UNREGISTERED:
        registered = 0;
        printf("unregistered\n"); break;
    case SUBROSA_EVENT_REGISTRATION_FAILED:
        printf("not registered: %.*s\n", (int)e->text.len, e->text.ptr);
        break;
    case SUBROSA_EVENT_CERTIFICATE_REJECTED:
        printf("certificate of %.*s: %.*s\n", (int)e->from.len, e->from.ptr, (int)e->text.len,
               e->text.ptr);
        break;
    case SUBROSA_EVENT_INCOMING_CALL: incoming(e); break;
    case SUBROSA_EVENT_INCOMING_REFUSED:
        printf("refused a call from %.*s: %.*s\n", (int)e->from.len, e->from.ptr, (int)e->text.len,
               e->text.ptr);
        break;
    case SUBROSA_EVENT_CALL_PROGRESS:
        printf("progress: %d\n", e->sip_status);
        break;
    case SUBROSA_EVENT_CALL_ESTABLISHED:
        if (e->call == call) established();
        break;
    case SUBROSA_EVENT_SECURITY_CHANGED:
        if (e->call == call) show_security();
        break;
    case SUBROSA_EVENT_DTMF_RECEIVED:
        printf("digit: %c\n", e->digit);
        break;
    case SUBROSA_EVENT_CALL_ENDED:
        if (e->call != call) break;
        next_frame = 0;
        ended = 1;
        printf("ended: reason %d, status %d %.*s\n", e->end_reason, e->sip_status,
               (int)e->text.len, e->text.ptr);
        show_summary();
        break;
    default:
        break;
    }
    fflush(stdout);
}

/* ---- the engine's wishes, until it wants to wait ---- */

static void drain(void) {
    static uint8_t *buffer;
    static size_t room;
    subrosa_output o = {.size = sizeof o};
    if (!buffer && !(buffer = malloc(room = 2048))) fatal("memory", strerror(errno));
    for (;;) {
        must(subrosa_engine_poll_output(engine, buffer, room, &o), "poll_output");
        struct sockaddr_storage sa;
        struct slot *s;
        switch (o.kind) {
        case SUBROSA_OUTPUT_TIMEOUT:
            wake_at = o.has_at ? o.at_us : UINT64_MAX;
            return;
        case SUBROSA_OUTPUT_DATAGRAM:
            /* A datagram that is lost here is lost like one on the way. */
            s = find_udp(o.id);
            if (s) {
                socklen_t len = to_sockaddr(o.addr, &sa);
                (void)!sendto(s->fd, o.data, o.data_len, 0, (struct sockaddr *)&sa, len);
            }
            break;
        case SUBROSA_OUTPUT_STREAM_DATA: do_stream_data(&o); break;
        case SUBROSA_OUTPUT_CONNECT: do_connect(&o); break;
        case SUBROSA_OUTPUT_CLOSE_STREAM: do_close_stream(&o); break;
        case SUBROSA_OUTPUT_LISTEN: do_listen(&o); break;
        case SUBROSA_OUTPUT_BIND_UDP: do_bind_udp(&o); break;
        case SUBROSA_OUTPUT_CLOSE_UDP:
            s = find_udp(o.id);
            if (s) drop_slot(s);
            break;
        case SUBROSA_OUTPUT_RESOLVE: ask_dns(&o); break;
        case SUBROSA_OUTPUT_EVENT: on_event(&o.event); break;
        case SUBROSA_OUTPUT_BUFFER_TOO_SMALL:
            room = o.needed;
            free(buffer);
            if (!(buffer = malloc(room))) fatal("memory", strerror(errno));
            break;
        default: break;
        }
    }
}

/* ---- what comes in ---- */

static void read_udp(struct slot *s) {
    static uint8_t buffer[65536];
    /* Bounded, so that a flood does not starve the audio. */
    for (int i = 0; i < 32 && s->kind == UDP; i++) {
        struct sockaddr_storage sa;
        socklen_t len = sizeof sa;
        memset(&sa, 0, sizeof sa);
        ssize_t n = recvfrom(s->fd, buffer, sizeof buffer, 0, (struct sockaddr *)&sa, &len);
        if (n < 0) return;
        subrosa_engine_handle_datagram(engine, now_us(), s->id, from_sockaddr(&sa), buffer,
                                       (size_t)n);
        drain();
    }
}

static void read_stream(struct slot *s) {
    static uint8_t buffer[16384];
    ssize_t n = recv(s->fd, buffer, sizeof buffer, 0);
    if (n > 0 && !s->closing)
        subrosa_engine_handle_stream_data(engine, now_us(), s->id, buffer, (size_t)n);
    else if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        stream_broke(s);
}

static void accept_stream(struct slot *s) {
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;
    memset(&sa, 0, sizeof sa);
    int fd = accept4(s->fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    uint64_t id;
    if (fd < 0) return;
    if (subrosa_engine_accept_stream(engine, now_us(), s->id, from_sockaddr(&sa),
                                     local_address(fd), &id) != SUBROSA_OK) {
        close(fd);
        return;
    }
    if (!new_slot(STREAM, fd, id)) {
        close(fd);
        subrosa_engine_handle_stream_closed(engine, now_us(), id);
    }
}

static void finish_connect(struct slot *s) {
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) || error) {
        stream_broke(s);
        return;
    }
    s->kind = STREAM;
    must(subrosa_engine_handle_stream_connected(engine, now_us(), s->id, local_address(s->fd)),
         "connected");
}

static void audio(void) {
    int16_t pcm[FRAME]; /* 20 ms, each way */
    while (next_frame && next_frame <= now_us()) {
        next_frame += 20000;
        memset(pcm, 0, sizeof pcm);
        if (opt.play) wav_play(&player, pcm, FRAME);
        subrosa_call_write_pcm(engine, now_us(), call, pcm, FRAME);
        if (subrosa_call_read_pcm(engine, now_us(), call, pcm, FRAME) == SUBROSA_OK && opt.record &&
            wav_record(&recorder, pcm, FRAME))
            fatal(opt.record, strerror(errno));
        drain();
    }
}

/* ---- start-up ---- */

static char *read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    size_t n = 0, room = 65536;
    char *text = malloc(room + 1);
    if (!file || !text) fatal(path, strerror(errno));
    n = fread(text, 1, room, file);
    text[n] = 0;
    fclose(file);
    return text;
}

static void make_engine(void) {
    uint8_t seed[32];
    subrosa_config *config = NULL;
    char where[80];
    subrosa_str why = {NULL, 0};
    if (getrandom(seed, sizeof seed, 0) != sizeof seed) fatal("getrandom", strerror(errno));
    must(subrosa_config_new(seed, sizeof seed, unix_us(), &config), "config");
    memset(seed, 0, sizeof seed);
    must(subrosa_config_set_local_ip(config, str(opt.ip)), "--ip");
    must(subrosa_config_set_udp_port(config, opt.udp_port), "--udp");
    if (opt.ca) {
        char *pem = read_file(opt.ca);
        must(subrosa_config_set_trust_pem(config, str(pem)), "--ca");
        free(pem);
    }
    if (opt.cert && opt.key) {
        char *chain = read_file(opt.cert), *key = read_file(opt.key);
        must(subrosa_config_set_identity_pem(config, str(chain), str(key)), "--cert, --key");
        memset(key, 0, strlen(key));
        free(chain);
        free(key);
        snprintf(where, sizeof where, "%s:%d", opt.ip, opt.tls_port);
        must(subrosa_config_set_listen_tls(config, str(where)), "--tls");
    }
    if (subrosa_engine_new(config, now_us(), &engine) != SUBROSA_OK) {
        subrosa_config_last_error(config, &why);
        fprintf(stderr, "desk_phone: %.*s\n", (int)why.len, why.ptr);
        exit(1);
    }
    subrosa_config_free(config);
}

static void add_account(void) {
    subrosa_account_config *config = NULL;
    must(subrosa_account_config_new(str(opt.account), &config), "--account");
    must(subrosa_account_config_set_register(config, opt.do_register), "--register");
    must(subrosa_account_config_set_policy(config, opt.policy), "--policy");
    if (opt.password)
        must(subrosa_account_config_set_credentials(config, str(opt.user), str(opt.password)),
             "--password");
    must(subrosa_engine_add_account(engine, now_us(), config, &account), "account");
    subrosa_account_config_free(config);
}

static void on_signal(int number) { stop_asked = number; }

static int wait_time(uint64_t until) {
    uint64_t now = now_us(), at = wake_at < until ? wake_at : until;
    if (next_frame && next_frame < at) at = next_frame;
    if (hang_up_at < at) at = hang_up_at;
    if (dns_wake_at() < at) at = dns_wake_at();
    if (at <= now) return 0;
    return at - now > 60000000 ? 60000 : (int)((at - now + 999) / 1000);
}

static void serve(struct slot *s, short events) {
    if (s->kind == UDP) read_udp(s);
    else if (s->kind == DNS) hear_dns();
    else if (s->kind == LISTENER) accept_stream(s);
    else if (s->kind == CONNECTING) finish_connect(s);
    else {
        if (events & POLLOUT) flush(s);
        if (s->kind == STREAM && (events & ~POLLOUT)) read_stream(s);
    }
    drain();
}

static void turn(uint64_t until) {
    struct pollfd fds[MAX_SOCKETS];
    struct slot *who[MAX_SOCKETS];
    uint64_t ids[MAX_SOCKETS];
    nfds_t count = 0;
    for (int i = 0; i < MAX_SOCKETS; i++) {
        struct slot *s = &slots[i];
        if (s->kind == UNUSED) continue;
        int writes = s->kind == CONNECTING || s->pending_len;
        fds[count] = (struct pollfd){.fd = s->fd, .events = writes ? POLLIN | POLLOUT : POLLIN};
        if (s->kind == CONNECTING) fds[count].events = POLLOUT;
        ids[count] = s->id;
        who[count++] = s;
    }
    if (poll(fds, count, wait_time(until)) > 0)
        for (nfds_t i = 0; i < count; i++)
            /* A slot may have changed hands since: its id tells. */
            if (fds[i].revents && who[i]->fd == fds[i].fd && who[i]->id == ids[i])
                serve(who[i], fds[i].revents);
    ask_dns_again();
    if (wake_at <= now_us()) must(subrosa_engine_handle_timeout(engine, now_us()), "timeout");
    drain();
    audio();
    if (hang_up_at <= now_us() || stop_asked) {
        hang_up_at = UINT64_MAX;
        if (call && !ended) subrosa_call_hang_up(engine, now_us(), call);
        drain();
    }
}

int main(int argc, char **argv) {
    const char *problem;
    read_options(argc, argv);
    if (subrosa_abi_version() != SUBROSA_ABI_VERSION) fatal("library", "of another version");
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    if (opt.play && (wav_open(&player, opt.play, &problem) || player.rate != RATE))
        fatal(opt.play, player.rate && player.rate != RATE ? "is not at 16 kHz" : problem);
    if (opt.record && wav_create(&recorder, opt.record, RATE)) fatal(opt.record, strerror(errno));
    int dns = dns_open(opt.dns);
    if (dns < 0 || !new_slot(DNS, dns, 0)) fatal("--dns", "needs IP:PORT");
    make_engine();
    add_account();
    drain();
    if (opt.call && !opt.do_register) start_call();
    drain();
    uint64_t give_up = now_us() + (uint64_t)opt.limit * 1000000;
    while (!ended && !failed_listen && !stop_asked && now_us() < give_up) turn(give_up);
    /* Say goodbye: what is still to be said has a second. */
    must(subrosa_engine_shut_down(engine, now_us()), "shut_down");
    drain();
    give_up = now_us() + 1000000;
    while (now_us() < give_up && (registered || wake_at < give_up)) turn(give_up);
    if (opt.record && wav_finish(&recorder)) fatal(opt.record, strerror(errno));
    wav_close(&player);
    for (int i = 0; i < MAX_SOCKETS; i++)
        if (slots[i].kind != UNUSED) drop_slot(&slots[i]);
    subrosa_engine_free(engine);
    if (failed_listen) fatal("listen", "a port is taken");
    if (!was_established) return 3;
    /* "required" encrypts; whether the far end proves who it is is its own affair. */
    return opt.policy == SUBROSA_POLICY_REQUIRED && !secure ? 4 : 0;
}
