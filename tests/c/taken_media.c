/*
 * A secure call between two engines in one program whose media runs outside them, on a thread of
 * its own: audio both ways, hold, keys pressed, the end; and hosts that do it wrong.
 */
#include "pair.h"

#include <math.h>
#include <pthread.h>

#define SECOND 16000 /* samples */

/* What the media thread of a phone has. */
struct side {
    subrosa_media *media;
    uint64_t socket[3];  /* by SUBROSA_CHANNEL_ */
    double hz;           /* what is said */
    uint64_t said, heard_count;
    int16_t heard[SECOND];
    uint8_t packet[64][SUBROSA_MAX_TRANSMIT];
    subrosa_media_transmit transmit[64];
    int packets, updates, digits, first, frames, fed, moves;
    subrosa_media_feedback *feedback;
};

static struct side sides[2];
static int lose;    /* updates of alice get lost */
static int failure; /* of the call that ended last, at alice */

static struct side *side_of(const struct phone *p) { return &sides[p == &bob]; }

static void on_event(struct phone *p, const subrosa_event *e) {
    switch (e->kind) {
    case SUBROSA_EVENT_INCOMING_CALL:
        p->call = e->call;
        IS(subrosa_call_accept(p->engine, now, e->call, NULL), SUBROSA_OK);
        break;
    case SUBROSA_EVENT_CALL_ESTABLISHED: p->established++; break;
    case SUBROSA_EVENT_CALL_ENDED:
        if (p == &alice) failure = e->failure;
        p->ended++;
        break;
    case SUBROSA_EVENT_MEDIA_SOCKETS_CHANGED:
        CHECK(e->call == p->call && e->rtp_socket && e->rtcp_socket);
        side_of(p)->socket[SUBROSA_CHANNEL_RTP] = e->rtp_socket;
        side_of(p)->socket[SUBROSA_CHANNEL_RTCP] = e->rtcp_socket;
        side_of(p)->moves++;
        break;
    case SUBROSA_EVENT_DTMF_RECEIVED:
    case SUBROSA_EVENT_NO_MEDIA: CHECK(!"the session tells that, not the engine");
    default: break;
    }
}

static void on_update(struct phone *p, const subrosa_output *o) {
    struct side *s = side_of(p);
    CHECK(o->id == p->call && o->update && s->media);
    if (lose && p == &alice) {
        /* One for another session changes nothing there, and is used up. */
        IS(subrosa_media_handle_update(sides[1].media, now, o->update), SUBROSA_ERR_INVALID);
        IS(subrosa_media_handle_update(s->media, now, o->update), SUBROSA_ERR_WRONG_STATE);
        lose = 0;
    } else if (failure < 0 && p == &alice) {
        IS(subrosa_media_handle_update(s->media, now, o->update), SUBROSA_ERR_WRONG_STATE);
    } else {
        IS(subrosa_media_handle_update(NULL, now, o->update), SUBROSA_ERR_NULL);
        IS(subrosa_media_handle_update(s->media, now, NULL), SUBROSA_ERR_NULL);
        IS(subrosa_media_handle_update(s->media, now, o->update), SUBROSA_OK);
    }
    s->updates++;
    subrosa_media_update_free(o->update);
}

/* RTP and RTCP of a session go there, all else to the engine. */
static void receive(struct phone *to, uint64_t socket, subrosa_addr from, uint8_t *bytes,
                    size_t len) {
    struct side *s = side_of(to);
    int32_t kind = -1;
    IS(subrosa_packet_kind(bytes, len, &kind), SUBROSA_OK);
    if (s->media && (kind == SUBROSA_PACKET_RTP || kind == SUBROSA_PACKET_RTCP))
        for (int32_t channel = SUBROSA_CHANNEL_RTP; channel <= SUBROSA_CHANNEL_RTCP; channel++)
            if (s->socket[channel] == socket) {
                IS(subrosa_media_handle_datagram(s->media, now, channel, from, bytes, len),
                   SUBROSA_OK);
                return;
            }
    subrosa_engine_handle_datagram(to->engine, now, socket, from, bytes, len);
}

static void on_media_event(struct side *s, const subrosa_media_event *e) {
    switch (e->kind) {
    case SUBROSA_MEDIA_EVENT_FIRST_PACKET:
        CHECK(e->ssrc && e->from.port);
        s->first++;
        break;
    case SUBROSA_MEDIA_EVENT_DTMF:
        CHECK(e->digit == '5');
        s->digits++;
        break;
    case SUBROSA_MEDIA_EVENT_REMOTE_BYE: break;
    case SUBROSA_MEDIA_EVENT_SOURCE_CHANGED: break;
    default: CHECK(!"an event that this program does not expect");
    }
}

/* The media thread's turn: 20 ms of a session. Nothing of the engine is used here. */
static void *turn(void *argument) {
    struct side *s = argument;
    int16_t pcm[FRAME];
    uint64_t at = 0;
    int32_t due = 0;
    IS(subrosa_media_next_timeout(s->media, &at), SUBROSA_OK);
    if (at <= now) IS(subrosa_media_handle_timeout(s->media, now), SUBROSA_OK);
    for (int i = 0; i < FRAME; i++, s->said++)
        pcm[i] = (int16_t)(8000 * sin(2 * M_PI * s->hz * (double)s->said / SECOND));
    IS(subrosa_media_write_pcm(s->media, now, pcm, FRAME), SUBROSA_OK);
    IS(subrosa_media_read_pcm(s->media, now, pcm, FRAME), SUBROSA_OK);
    for (int i = 0; i < FRAME; i++) s->heard[s->heard_count++ % SECOND] = pcm[i];
    for (s->packets = 0;; s->packets++) {
        subrosa_media_transmit *transmit = &s->transmit[s->packets];
        CHECK(s->packets < 63);
        transmit->size = sizeof *transmit;
        IS(subrosa_media_poll_transmit(s->media, now, s->packet[s->packets], SUBROSA_MAX_TRANSMIT,
                                       transmit), SUBROSA_OK);
        if (transmit->channel == SUBROSA_CHANNEL_NONE) break;
        CHECK(transmit->len > 8);
    }
    for (;;) {
        subrosa_media_event event = {.size = sizeof event};
        IS(subrosa_media_poll_event(s->media, &event), SUBROSA_OK);
        if (event.kind == SUBROSA_MEDIA_EVENT_NONE) break;
        on_media_event(s, &event);
    }
    IS(subrosa_media_feedback_due(s->media, &due), SUBROSA_OK);
    if (due || s->frames++ % 50 == 0)
        IS(subrosa_media_get_feedback(s->media, &s->feedback), SUBROSA_OK);
    return NULL;
}

/* Takes the session of a call that has one, and lets the media thread run it. */
static void media(struct phone *p) {
    struct side *s = side_of(p);
    pthread_t thread;
    if (!s->media && p->established && !p->ended) {
        subrosa_status status = subrosa_engine_take_media(p->engine, p->call, &s->media);
        CHECK(status == SUBROSA_OK || (status == SUBROSA_ERR_NO_MEDIA && !s->media));
        if (!s->media) return;
        IS(subrosa_call_media_sockets(p->engine, p->call, &s->socket[SUBROSA_CHANNEL_RTP],
                                      &s->socket[SUBROSA_CHANNEL_RTCP]), SUBROSA_OK);
    }
    if (!s->media) return;
    CHECK(pthread_create(&thread, NULL, turn, s) == 0 && pthread_join(thread, NULL) == 0);
    for (int i = 0; i < s->packets; i++)
        deliver(p, s->socket[s->transmit[i].channel], s->transmit[i].remote.port, s->packet[i],
                s->transmit[i].len);
    if (s->feedback) {
        IS(subrosa_engine_handle_media(p->engine, now, p->call, s->feedback), SUBROSA_OK);
        subrosa_media_feedback_free(s->feedback);
        s->feedback = NULL;
        s->fed++;
    }
}

/* Virtual time, in steps of 20 ms. */
static void run(unsigned frames) {
    for (unsigned i = 0; i < frames; i++) {
        now += 20000;
        if (alice.wake_at <= now) IS(subrosa_engine_handle_timeout(alice.engine, now), SUBROSA_OK);
        if (bob.wake_at <= now) IS(subrosa_engine_handle_timeout(bob.engine, now), SUBROSA_OK);
        media(&alice);
        media(&bob);
        settle();
    }
}

/* How loud the last half second was, and which share of that is a tone (Goertzel). */
static double heard(const struct phone *p, double hz, double *energy) {
    struct side *s = side_of(p);
    double a = 0, b = 0, turn = 2 * cos(2 * M_PI * hz / SECOND), n = SECOND / 2;
    *energy = 0;
    for (uint64_t i = s->heard_count - SECOND / 2; i < s->heard_count; i++) {
        double x = s->heard[i % SECOND], c = x + turn * a - b;
        b = a;
        a = c;
        *energy += x * x;
    }
    return *energy < 1 ? 0 : 2 * (a * a + b * b - turn * a * b) / n / *energy;
}

static void both_hear(void) {
    double energy;
    CHECK(heard(&bob, 500, &energy) > 0.8 && energy / (SECOND / 2) > 1e6);
    CHECK(heard(&alice, 900, &energy) > 0.8 && energy / (SECOND / 2) > 1e6);
}

static void call_to(uint64_t account, const char *to) {
    for (int i = 0; i < 2; i++) {
        subrosa_media_free(sides[i].media);
        memset(&sides[i], 0, sizeof sides[i]);
    }
    sides[0].hz = 500;
    sides[1].hz = 900;
    alice.established = bob.established = alice.ended = bob.ended = failure = 0;
    IS(subrosa_engine_place_call(alice.engine, now, account, str(to), NULL, &alice.call), SUBROSA_OK);
    run(100);
    CHECK(alice.established == 1 && bob.established == 1 && sides[0].media && sides[1].media);
    CHECK(sides[0].first == 1 && sides[1].first == 1);
    both_hear();
}

static void call(void) { call_to(alice.account, "sip:bob@bob.test"); }

/* What a program can do wrong with a session, and what it is told. */
static void misuse(void) {
    struct side *s = &sides[0];
    subrosa_media *again = NULL;
    subrosa_media_feedback *other_feedback = NULL;
    subrosa_media_transmit transmit = {.size = sizeof transmit, .len = 7};
    subrosa_media_stats stats = {.size = 4};
    subrosa_str why = {NULL, 0};
    int16_t pcm[FRAME] = {0};
    uint8_t packet[SUBROSA_MAX_TRANSMIT] = {0x80};
    IS(subrosa_engine_take_media(alice.engine, alice.call, &again), SUBROSA_ERR_MEDIA_TAKEN);
    IS(subrosa_engine_take_media(alice.engine, 77, &again), SUBROSA_ERR_UNKNOWN_ID);
    IS(subrosa_engine_take_media(alice.engine, alice.call, NULL), SUBROSA_ERR_NULL);
    CHECK(again == NULL);
    IS(subrosa_call_write_pcm(alice.engine, now, alice.call, pcm, FRAME), SUBROSA_ERR_MEDIA_TAKEN);
    IS(subrosa_call_read_pcm(alice.engine, now, alice.call, pcm, FRAME), SUBROSA_ERR_MEDIA_TAKEN);
    IS(subrosa_call_mute(alice.engine, now, alice.call, 1), SUBROSA_ERR_MEDIA_TAKEN);
    IS(subrosa_call_send_dtmf(alice.engine, now, alice.call, '1', 100), SUBROSA_ERR_MEDIA_TAKEN);
    IS(subrosa_media_poll_transmit(s->media, now, packet, 100, &transmit), SUBROSA_ERR_INVALID);
    IS(subrosa_media_last_error(s->media, &why), SUBROSA_OK);
    CHECK(memmem(why.ptr, why.len, "1500", 4) && transmit.len == 7);
    IS(subrosa_media_handle_datagram(s->media, now, SUBROSA_CHANNEL_NONE, address(&bob, 9), packet,
                                     40), SUBROSA_ERR_INVALID);
    IS(subrosa_media_handle_datagram(s->media, now, SUBROSA_CHANNEL_RTP, address(&bob, 9), NULL,
                                     40), SUBROSA_ERR_NULL);
    IS(subrosa_media_send_dtmf(s->media, 'x', 100), SUBROSA_ERR_INVALID);
    IS(subrosa_media_send_dtmf(s->media, '5', 1), SUBROSA_ERR_INVALID);
    IS(subrosa_media_get_stats(s->media, &stats), SUBROSA_ERR_STRUCT_SIZE);
    IS(subrosa_media_write_pcm(NULL, now, pcm, FRAME), SUBROSA_ERR_NULL);
    IS(subrosa_media_get_feedback(sides[1].media, &other_feedback), SUBROSA_OK);
    IS(subrosa_engine_handle_media(alice.engine, now, alice.call, other_feedback),
       SUBROSA_ERR_INVALID);
    IS(subrosa_engine_handle_media(alice.engine, now, 77, other_feedback), SUBROSA_ERR_UNKNOWN_ID);
    IS(subrosa_engine_handle_media(alice.engine, now, alice.call, NULL), SUBROSA_ERR_NULL);
    subrosa_media_feedback_free(other_feedback);
    subrosa_media_feedback_free(NULL);
    subrosa_media_update_free(NULL);
    subrosa_media_free(NULL);
}

static void hold_and_resume(void) {
    double energy;
    int before = sides[1].updates;
    IS(subrosa_call_hold(alice.engine, now, alice.call), SUBROSA_OK);
    run(75);
    CHECK(sides[0].updates > 0 && sides[1].updates > before);
    heard(&alice, 900, &energy); /* who is held does not send */
    CHECK(energy / (SECOND / 2) < 100);
    IS(subrosa_call_resume(alice.engine, now, alice.call), SUBROSA_OK);
    run(100);
    both_hear();
}

/* A session that was taken is made louder, is processed and says what it sends by itself. */
static void gains_and_processing(void) {
    subrosa_processing_stats stats = {.size = sizeof stats};
    subrosa_encoding encoding = {.size = sizeof encoding};
    double loud, now_heard;
    run(50);
    heard(&bob, 500, &loud);
    IS(subrosa_media_set_send_gain(sides[0].media, -6), SUBROSA_OK);
    run(50);
    heard(&bob, 500, &now_heard);
    CHECK(now_heard > loud * 0.2 && now_heard < loud * 0.3);
    IS(subrosa_media_set_receive_gain(sides[1].media, -6), SUBROSA_OK);
    run(50);
    heard(&bob, 500, &now_heard);
    CHECK(now_heard > loud * 0.04 && now_heard < loud * 0.09);
    IS(subrosa_media_set_send_gain(sides[0].media, 0), SUBROSA_OK);
    IS(subrosa_media_set_receive_gain(sides[1].media, 0), SUBROSA_OK);
    IS(subrosa_media_processing_stats(sides[0].media, &stats), SUBROSA_ERR_NO_MEDIA);
    IS(subrosa_media_set_processing(sides[0].media, 32), SUBROSA_ERR_INVALID);
    IS(subrosa_media_set_processing(sides[0].media, SUBROSA_PROCESSING_HIGH_PASS), SUBROSA_OK);
    IS(subrosa_media_processing_stats(sides[0].media, &stats), SUBROSA_OK);
    IS(subrosa_media_set_processing(sides[0].media, SUBROSA_PROCESSING_OFF), SUBROSA_OK);
    IS(subrosa_media_encoding(sides[0].media, &encoding), SUBROSA_OK);
    CHECK(encoding.codec && encoding.ptime_ms == 20);
    IS(subrosa_media_restart_sending(sides[0].media, now), SUBROSA_ERR_WRONG_STATE);
}

static void mute_and_digits(void) {
    double energy;
    IS(subrosa_media_set_muted(sides[0].media, 1), SUBROSA_OK);
    run(50);
    heard(&bob, 500, &energy);
    CHECK(energy / (SECOND / 2) < 1000);
    IS(subrosa_media_set_muted(sides[0].media, 0), SUBROSA_OK);
    IS(subrosa_media_send_dtmf(sides[0].media, '5', 100), SUBROSA_OK);
    run(75);
    CHECK(sides[1].digits == 1);
    both_hear();
}

/* The goodbye is sent, the feedback says so, and the sockets are closed before two seconds. */
static void end(void) {
    subrosa_engine_load load = {.size = sizeof load};
    subrosa_media_stats ours = {.size = sizeof ours}, told = {.size = sizeof told};
    subrosa_security_report report = {.size = sizeof report};
    int32_t closed = 0, drained = 0;
    IS(subrosa_call_security(alice.engine, alice.call, &report), SUBROSA_OK);
    CHECK(report.padlock == SUBROSA_PADLOCK_ENCRYPTED_TO_PROVIDER);
    IS(subrosa_engine_get_load(alice.engine, &load), SUBROSA_OK);
    CHECK(load.media_sockets == 2);
    IS(subrosa_call_hang_up(alice.engine, now, alice.call), SUBROSA_OK);
    run(10);
    CHECK(alice.ended == 1 && bob.ended == 1);
    for (int i = 0; i < 2; i++) {
        struct phone *p = i ? &bob : &alice;
        IS(subrosa_media_is_closed(sides[i].media, &closed), SUBROSA_OK);
        IS(subrosa_media_is_drained(sides[i].media, &drained), SUBROSA_OK);
        CHECK(closed == 1 && drained == 1);
        IS(subrosa_engine_get_load(p->engine, &load), SUBROSA_OK);
        CHECK(load.media_sockets == 0);
        IS(subrosa_media_get_stats(sides[i].media, &ours), SUBROSA_OK);
        IS(subrosa_call_media_stats(p->engine, p->call, &told), SUBROSA_OK);
        CHECK(ours.packets_received > 200 && ours.refused == 0);
        CHECK(told.packets_received == ours.packets_received && sides[i].fed > 5);
    }
}

/* An update is lost: with the next one the session falls silent, and the call ends. */
static void lost_update(void) {
    int32_t drained = 0;
    call();
    lose = 1;
    IS(subrosa_call_hold(alice.engine, now, alice.call), SUBROSA_OK);
    run(25);
    CHECK(!lose && sides[0].updates == 1);
    failure = -1;
    IS(subrosa_call_resume(alice.engine, now, alice.call), SUBROSA_OK);
    run(25);
    CHECK(alice.ended == 1 && failure == SUBROSA_FAILURE_MEDIA_UPDATE);
    IS(subrosa_media_is_drained(sides[0].media, &drained), SUBROSA_OK);
    CHECK(drained == 1);
}

/* An account whose signalling is in the clear, and whose media is encrypted where it can be. */
static uint64_t over_udp(struct phone *p, const char *aor) {
    subrosa_account_config *config = NULL;
    uint64_t id = 0;
    IS(subrosa_account_config_new(str(aor), &config), SUBROSA_OK);
    IS(subrosa_account_config_set_register(config, 0), SUBROSA_OK);
    IS(subrosa_account_config_set_policy(config, SUBROSA_POLICY_PREFERRED), SUBROSA_OK);
    IS(subrosa_account_config_set_transport(config, SUBROSA_TRANSPORT_UDP), SUBROSA_OK);
    IS(subrosa_engine_add_account(p->engine, now, config, &id), SUBROSA_OK);
    subrosa_account_config_free(config);
    return id;
}

/* The phone is on another network: its media goes on from the sockets that it is told of. */
static void another_network(void) {
    subrosa_media_stats stats = {.size = sizeof stats};
    uint64_t before, rtp = 0, rtcp = 0;
    over_udp(&bob, "sip:bob@other.test");
    call_to(over_udp(&alice, "sip:alice@other.test"), "sip:bob@other.test");
    before = sides[0].socket[SUBROSA_CHANNEL_RTP];
    for (int i = 1; i <= 2; i++) {
        char ip[16];
        alice.net = (uint8_t)i;
        snprintf(ip, sizeof ip, "10.0.%d.1", i);
        IS(subrosa_engine_set_local_ip(alice.engine, str(ip)), SUBROSA_OK);
        IS(subrosa_engine_handle_network_changed(alice.engine, now), SUBROSA_OK);
        settle();
        CHECK(sides[0].moves == i && sides[1].moves == 0);
        IS(subrosa_call_media_sockets(alice.engine, alice.call, &rtp, &rtcp), SUBROSA_OK);
        CHECK(rtp == sides[0].socket[SUBROSA_CHANNEL_RTP] && rtp != before);
        CHECK(rtcp == sides[0].socket[SUBROSA_CHANNEL_RTCP]);
        run(150);
        CHECK(!alice.ended && !bob.ended && sides[0].moves == i);
        both_hear();
    }
    IS(subrosa_media_get_stats(sides[0].media, &stats), SUBROSA_OK);
    CHECK(stats.packets_received > 300 && stats.refused == 0);
}

/* A host that keeps the media of its calls gives none away. */
static void kept(void) {
    subrosa_media *none = NULL;
    IS(subrosa_engine_keep_media(bob.engine), SUBROSA_OK);
    IS(subrosa_engine_take_media(bob.engine, bob.call, &none), SUBROSA_ERR_WRONG_STATE);
    CHECK(none == NULL);
}

int main(int argc, char **argv) {
    CHECK(argc == 2); /* the folder of the certificates */
    set_up(&alice, argv[1], 5);
    set_up(&bob, argv[1], 6);
    settle();
    call();
    misuse();
    hold_and_resume();
    mute_and_digits();
    gains_and_processing();
    end();
    lost_update();
    another_network();
    kept();
    subrosa_engine_free(alice.engine);
    subrosa_engine_free(bob.engine);
    /* A session may outlive its engine. */
    for (int i = 0; i < 2; i++) subrosa_media_free(sides[i].media);
    return 0;
}
