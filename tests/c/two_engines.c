/*
 * A secure call between two engines in one program, in virtual time: no socket, no clock. Also
 * the shortest whole example of the API.
 */
#include "pair.h"

static int early;   /* the next call is not answered at once: there is an announcement first */
static int cut;     /* no media reaches alice */

static uint64_t strict; /* an account of bob's that demands encryption */

static int logged, told_established, told_busy;

/* The one callback. It cannot use the engine that logs. */
static void on_log(void *user, uint64_t at, int32_t level, subrosa_str target, subrosa_str text) {
    struct phone *p = user;
    subrosa_engine_stats stats = {.size = sizeof stats};
    CHECK(p == &alice && at <= now && target.len && text.len);
    CHECK(level >= SUBROSA_LOG_ERROR && level <= SUBROSA_LOG_INFO);
    CHECK(!memmem(text.ptr, text.len, "sip:", 4) && !memmem(text.ptr, text.len, "inline", 6));
    if (memmem(text.ptr, text.len, "is established", 14)) told_established++;
    if (p->engine && subrosa_engine_get_stats(p->engine, &stats) == SUBROSA_ERR_BUSY) told_busy++;
    logged++;
}

/* Bob's trace has the call's messages, without keys; Alice asked for none. */
static void traces(void) {
    subrosa_sip_trace trace = {.size = sizeof trace};
    int invites = 0, keys = 0;
    for (;;) {
        IS(subrosa_engine_poll_sip_trace(bob.engine, &trace), SUBROSA_OK);
        if (!trace.text.len) break;
        CHECK(trace.transport == SUBROSA_TRANSPORT_TLS && trace.remote.ip[3] == 1);
        invites += trace.direction == SUBROSA_SIP_RECEIVED && !memcmp(trace.text.ptr, "INVITE ", 7);
        for (const char *at = trace.text.ptr, *end = at + trace.text.len;
             (at = memmem(at, (size_t)(end - at), "inline:", 7)); at += 7, keys++)
            CHECK(end - at > 17 && !memcmp(at, "inline:[redacted]", 17));
    }
    CHECK(invites >= 1 && keys >= 2);
    IS(subrosa_engine_poll_sip_trace(alice.engine, &trace), SUBROSA_OK);
    CHECK(!trace.text.len);
}

static void receive(struct phone *to, uint64_t socket, subrosa_addr from, uint8_t *bytes,
                    size_t len) {
    if (!cut || to != &alice) subrosa_engine_handle_datagram(to->engine, now, socket, from, bytes, len);
}

static void on_update(struct phone *p, const subrosa_output *o) {
    CHECK(!"no media was taken" && p && o);
}

static void on_event(struct phone *p, const subrosa_event *e) {
    switch (e->kind) {
    case SUBROSA_EVENT_INCOMING_CALL:
        CHECK(e->from.len && memmem(e->from.ptr, e->from.len, "alice", 5));
        p->call = e->call;
        IS(subrosa_call_ring(p->engine, now, e->call), SUBROSA_OK);
        if (early)
            IS(subrosa_call_early_media(p->engine, now, e->call, 16000), SUBROSA_OK);
        else
            IS(subrosa_call_accept(p->engine, now, e->call, NULL), SUBROSA_OK);
        break;
    case SUBROSA_EVENT_INCOMING_REFUSED:
        CHECK(p == &bob && e->account == strict && !e->call);
        CHECK(e->from.len && memmem(e->from.ptr, e->from.len, "erin", 4));
        CHECK(e->display_name.len == 4 && !memcmp(e->display_name.ptr, "Erin", 4));
        CHECK(e->failure == SUBROSA_FAILURE_POLICY);
        CHECK(memmem(e->text.ptr, e->text.len, "TLS is required", 15));
        p->refused++;
        break;
    case SUBROSA_EVENT_CALL_ESTABLISHED: p->established++; break;
    case SUBROSA_EVENT_CALL_ENDED: p->ended++; break;
    case SUBROSA_EVENT_SECURITY_CHANGED: p->padlock = e->padlock; break;
    case SUBROSA_EVENT_DTMF_RECEIVED:
        CHECK(e->digit == '5');
        p->digits++;
        break;
    case SUBROSA_EVENT_NO_MEDIA:
        CHECK(e->call == p->call && e->no_media == SUBROSA_NO_MEDIA_SILENCE);
        p->silent++;
        break;
    case SUBROSA_EVENT_MEDIA_RESUMED:
        CHECK(e->call == p->call);
        p->resumed++;
        break;
    default: break;
    }
}

static void audio(struct phone *p, int16_t level) {
    int16_t pcm[FRAME];
    for (int i = 0; i < FRAME; i++) pcm[i] = i & 16 ? level : (int16_t)-level;
    subrosa_status status = subrosa_call_write_pcm(p->engine, now, p->call, pcm, FRAME);
    CHECK(status == SUBROSA_OK || status == SUBROSA_ERR_NO_MEDIA);
    if (subrosa_call_read_pcm(p->engine, now, p->call, pcm, FRAME) != SUBROSA_OK) return;
    for (int i = 0; i < FRAME; i++) p->energy += pcm[i] * pcm[i];
}

/* Virtual time, in steps of 20 ms. */
static void run(unsigned frames) {
    for (unsigned i = 0; i < frames; i++) {
        now += 20000;
        if (alice.wake_at <= now) IS(subrosa_engine_handle_timeout(alice.engine, now), SUBROSA_OK);
        if (bob.wake_at <= now) IS(subrosa_engine_handle_timeout(bob.engine, now), SUBROSA_OK);
        if (alice.established && !alice.ended) audio(&alice, 4000);
        if (bob.established && !bob.ended) audio(&bob, 0);
        settle();
    }
}

/* What was tried to get there: one step, which is used. */
static void one_step(int32_t transport) {
    subrosa_ladder_step steps[SUBROSA_MAX_LADDER_STEPS];
    size_t count = 0;
    IS(subrosa_call_ladder(alice.engine, alice.call, steps, SUBROSA_MAX_LADDER_STEPS, &count),
       SUBROSA_OK);
    CHECK(count == 1 && steps[0].transport == transport && steps[0].outcome == SUBROSA_STEP_UP);
    CHECK(steps[0].address.ip[3] == 2 && steps[0].text.len);
    IS(subrosa_call_ladder(bob.engine, bob.call, steps, 1, &count), SUBROSA_OK);
    CHECK(count == 0);
}

/* Voice processing is switched in a running call. */
static void processing(void) {
    subrosa_processing_stats stats = {.size = sizeof stats};
    subrosa_engine *e = alice.engine;
    IS(subrosa_call_processing_stats(e, alice.call, &stats), SUBROSA_ERR_NO_MEDIA);
    IS(subrosa_call_set_processing(e, now, alice.call, SUBROSA_PROCESSING_VOICE), SUBROSA_OK);
    IS(subrosa_call_processing_stats(e, alice.call, &stats), SUBROSA_OK);
    CHECK(stats.size == sizeof stats);
    IS(subrosa_call_set_processing(e, now, alice.call, 32), SUBROSA_ERR_INVALID);
    IS(subrosa_call_processing_stats(e, alice.call, &stats), SUBROSA_OK);
    IS(subrosa_call_set_processing(e, now, alice.call, SUBROSA_PROCESSING_OFF), SUBROSA_OK);
    IS(subrosa_call_set_processing(e, now, 77, SUBROSA_PROCESSING_OFF), SUBROSA_ERR_UNKNOWN_ID);
}

/* What Bob hears of Alice in half a second, once a change has come through. */
static double loudness(void) {
    run(25);
    bob.energy = 0;
    run(25);
    return bob.energy;
}

/* Gain and mute of a running call: what they do, and that they are told. */
static void gains(void) {
    subrosa_call_info info = {.size = sizeof info};
    double loud = loudness(), now_heard;
    IS(subrosa_call_set_send_gain(alice.engine, now, alice.call, -6), SUBROSA_OK);
    now_heard = loudness();
    CHECK(now_heard > loud * 0.2 && now_heard < loud * 0.3);
    IS(subrosa_call_set_receive_gain(bob.engine, now, bob.call, -6), SUBROSA_OK);
    now_heard = loudness();
    CHECK(now_heard > loud * 0.04 && now_heard < loud * 0.09);
    IS(subrosa_call_get_info(alice.engine, alice.call, &info), SUBROSA_OK);
    CHECK(info.send_gain_db == -6 && info.receive_gain_db == 0 && !info.muted);
    IS(subrosa_call_get_info(bob.engine, bob.call, &info), SUBROSA_OK);
    CHECK(info.send_gain_db == 0 && info.receive_gain_db == -6);
    IS(subrosa_call_set_send_gain(alice.engine, now, alice.call, 0), SUBROSA_OK);
    IS(subrosa_call_set_receive_gain(bob.engine, now, bob.call, 0), SUBROSA_OK);
    IS(subrosa_call_mute(alice.engine, now, alice.call, 1), SUBROSA_OK);
    CHECK(loudness() < loud / 1000);
    IS(subrosa_call_get_info(alice.engine, alice.call, &info), SUBROSA_OK);
    CHECK(info.muted == 1 && info.processing == SUBROSA_PROCESSING_OFF);
    IS(subrosa_call_mute(alice.engine, now, alice.call, 0), SUBROSA_OK);
    CHECK(loudness() > loud * 0.8);
}

/* Without TLS there are keys by DTLS, with whoever answers; first an announcement, later silence. */
static void opportunistic(void) {
    subrosa_security_report report = {.size = sizeof report};
    subrosa_call_options options = {.size = sizeof options};
    subrosa_call_info info = {.size = sizeof info};
    uint64_t account = add_account(alice.engine, "sip:alice@10.0.0.1", SUBROSA_POLICY_PREFERRED);
    add_account(bob.engine, "sip:carol@10.0.0.2", SUBROSA_POLICY_PREFERRED);
    alice.established = bob.established = alice.ended = bob.ended = 0;
    early = 1;
    IS(subrosa_call_options_init(&options), SUBROSA_OK);
    CHECK(options.media_offer == SUBROSA_MEDIA_OFFER_OPPORTUNISTIC);
    options.media_offer = SUBROSA_MEDIA_OFFER_DUAL;
    /* Two lines with all codecs are more than a datagram holds, and this network has no TCP. */
    options.codec_count = 1;
    options.codecs[0] = SUBROSA_CODEC_OPUS;
    char to[64];
    snprintf(to, sizeof to, "sip:carol@10.0.0.2:%d;transport=udp", bob.port[0]);
    IS(subrosa_engine_place_call(alice.engine, now, account, str(to), &options, &alice.call),
       SUBROSA_OK);
    run(50);
    IS(subrosa_call_get_info(alice.engine, alice.call, &info), SUBROSA_OK);
    CHECK(info.state == SUBROSA_CALL_RINGING && !alice.established);
    alice.energy = 0;
    for (int i = 0; i < 25; i++) {
        audio(&bob, 4000);
        audio(&alice, 0);
        run(1);
    }
    CHECK(alice.energy > 1000000);
    IS(subrosa_call_accept(bob.engine, now, bob.call, NULL), SUBROSA_OK);
    run(25);
    IS(subrosa_call_early_media(bob.engine, now, bob.call, 16000), SUBROSA_ERR_WRONG_STATE);
    CHECK(alice.established == 1 && bob.established == 1);
    one_step(SUBROSA_TRANSPORT_UDP);
    processing();
    gains();
    IS(subrosa_call_security(alice.engine, alice.call, &report), SUBROSA_OK);
    CHECK(report.padlock == SUBROSA_PADLOCK_NONE && report.srtp_suite_out.len);
    CHECK(report.keying_out == SUBROSA_KEYING_DTLS_UNAUTHENTICATED);
    CHECK(report.keying_in == SUBROSA_KEYING_DTLS_UNAUTHENTICATED);
    CHECK(report.policy == SUBROSA_POLICY_PREFERRED);
    CHECK(report.level == SUBROSA_LEVEL_ENCRYPTED_UNAUTHENTICATED);
    /* The two people compare, and know each other from now on. */
    subrosa_safety_number *number = NULL;
    subrosa_str digits;
    size_t len = 0;
    IS(subrosa_call_safety_number(alice.engine, alice.call, &number), SUBROSA_OK);
    IS(subrosa_safety_number_digits(number, &digits), SUBROSA_OK);
    CHECK(digits.len == 71);
    subrosa_safety_number_free(number);
    IS(subrosa_call_confirm_safety_number(alice.engine, now, alice.call), SUBROSA_OK);
    IS(subrosa_call_security(alice.engine, alice.call, &report), SUBROSA_OK);
    CHECK(report.level == SUBROSA_LEVEL_VERIFIED_END_TO_END);
    uint8_t peers[1024];
    IS(subrosa_engine_export_peers(alice.engine, peers, sizeof peers, &len), SUBROSA_OK);
    IS(subrosa_engine_import_peers(alice.engine, peers, len), SUBROSA_OK);
    IS(subrosa_engine_import_peers(alice.engine, peers, len - 1), SUBROSA_ERR_INVALID);
    IS(subrosa_engine_forget_peer(alice.engine, str("sip:dave@10.0.0.2")), SUBROSA_ERR_UNKNOWN_ID);
    cut = 1;
    run(525);
    CHECK(alice.silent == 1 && alice.resumed == 0);
    cut = 0;
    run(25);
    CHECK(alice.silent == 1 && alice.resumed == 1 && bob.silent == 0);
    IS(subrosa_call_hang_up(alice.engine, now, alice.call), SUBROSA_OK);
    run(10);
    CHECK(alice.ended == 1 && bob.ended == 1);
}

/* Who calls in the clear where encryption is demanded is refused, and no phone rings. */
static void refused(void) {
    subrosa_engine_stats stats = {.size = sizeof stats};
    subrosa_account_config *config = NULL;
    uint64_t account = 0, calls[4];
    size_t before = 0, after = 0;
    char to[64];
    IS(subrosa_account_config_new(str("sip:erin@10.0.0.1"), &config), SUBROSA_OK);
    IS(subrosa_account_config_set_register(config, 0), SUBROSA_OK);
    IS(subrosa_account_config_set_display_name(config, str("Erin")), SUBROSA_OK);
    IS(subrosa_engine_add_account(alice.engine, now, config, &account), SUBROSA_OK);
    subrosa_account_config_free(config);
    strict = add_account(bob.engine, "sip:dave@10.0.0.2", SUBROSA_POLICY_REQUIRED);
    alice.established = bob.established = alice.ended = bob.ended = 0;
    IS(subrosa_engine_call_ids(bob.engine, calls, 4, &before), SUBROSA_OK);
    snprintf(to, sizeof to, "sip:dave@10.0.0.2:%d;transport=udp", bob.port[0]);
    IS(subrosa_engine_place_call(alice.engine, now, account, str(to), NULL, &alice.call),
       SUBROSA_OK);
    run(50);
    CHECK(bob.refused >= 1 && alice.ended == 1 && !alice.established && !bob.ended);
    IS(subrosa_engine_call_ids(bob.engine, calls, 4, &after), SUBROSA_OK);
    CHECK(after == before);
    IS(subrosa_engine_get_stats(bob.engine, &stats), SUBROSA_OK);
    CHECK(stats.refused_calls == (uint64_t)bob.refused);
}

int main(int argc, char **argv) {
    subrosa_security_report report = {.size = sizeof report};
    subrosa_media_stats stats = {.size = sizeof stats};
    subrosa_call_info info = {.size = sizeof info};
    CHECK(argc == 2); /* the folder of the certificates */
    set_up(&alice, argv[1], 3);
    set_up(&bob, argv[1], 4);
    IS(subrosa_engine_set_logger(alice.engine, 9, on_log, &alice), SUBROSA_ERR_INVALID);
    IS(subrosa_engine_set_logger(alice.engine, SUBROSA_LOG_INFO, on_log, &alice), SUBROSA_OK);
    settle();
    IS(subrosa_engine_place_call(alice.engine, now, alice.account, str("sip:bob@bob.test"), NULL,
                                 &alice.call), SUBROSA_OK);
    run(50);
    CHECK(alice.established == 1 && bob.established == 1);
    IS(subrosa_call_get_info(alice.engine, alice.call, &info), SUBROSA_OK);
    CHECK(info.state == SUBROSA_CALL_ESTABLISHED && info.codec == SUBROSA_CODEC_OPUS);
    CHECK(info.sip_call_id.len);
    IS(subrosa_call_security(alice.engine, alice.call, &report), SUBROSA_OK);
    CHECK(report.padlock == SUBROSA_PADLOCK_ENCRYPTED_TO_PROVIDER);
    CHECK(alice.padlock == report.padlock);
    CHECK(report.tls_version == 0x0304 && report.peer_verified && report.media_agreed);
    CHECK(report.srtp_suite_out.len && report.tls_suite.len && report.text.len);
    CHECK(report.keying_out == SUBROSA_KEYING_SDES);
    CHECK(report.connected && !report.hybrid && report.media_encrypted && report.evidence.len);
    CHECK(report.rtcp_encrypted_out && report.rtcp_encrypted_in && report.rtcp_mux);
    CHECK(report.profile_out.len && report.profile_in.len == report.profile_out.len);
    CHECK(!report.key_generation_out && !report.key_generation_in && !report.mki_out.len);
    CHECK(!report.fingerprint.len && !report.fingerprint_verified && !report.sip_trace);
    IS(subrosa_call_security(bob.engine, bob.call, &report), SUBROSA_OK);
    CHECK(report.sip_trace && memmem(report.text.ptr, report.text.len, "Debugging is on", 15));
    traces();
    subrosa_safety_number *none = NULL;
    IS(subrosa_call_safety_number(alice.engine, alice.call, &none), SUBROSA_ERR_WRONG_STATE);
    IS(subrosa_call_confirm_safety_number(alice.engine, now, alice.call), SUBROSA_ERR_WRONG_STATE);
    CHECK(none == NULL);
    one_step(SUBROSA_TRANSPORT_TLS);
    subrosa_srtp_progress key = {.size = sizeof key};
    IS(subrosa_call_srtp_progress(alice.engine, alice.call, &key), SUBROSA_OK);
    CHECK(key.generation == 0 && key.sequence >= 0 && key.suite.len);
    IS(subrosa_call_renew_keys(alice.engine, now, alice.call), SUBROSA_OK);
    IS(subrosa_call_renew_keys(alice.engine, now, alice.call), SUBROSA_ERR_WRONG_STATE);
    run(15);
    IS(subrosa_call_srtp_progress(alice.engine, alice.call, &key), SUBROSA_OK);
    CHECK(key.generation == 1);
    IS(subrosa_call_send_dtmf(alice.engine, now, alice.call, '5', 100), SUBROSA_OK);
    run(15);
    CHECK(bob.digits == 1);
    IS(subrosa_call_hold(alice.engine, now, alice.call), SUBROSA_OK);
    run(25);
    IS(subrosa_call_get_info(bob.engine, bob.call, &info), SUBROSA_OK);
    CHECK(info.remote_hold == 1);
    IS(subrosa_call_resume(alice.engine, now, alice.call), SUBROSA_OK);
    run(50);
    IS(subrosa_call_media_stats(bob.engine, bob.call, &stats), SUBROSA_OK);
    CHECK(stats.packets_received > 50 && stats.refused == 0);
    CHECK(bob.energy > 1000000 && alice.energy < bob.energy / 100);
    IS(subrosa_call_hang_up(bob.engine, now, bob.call), SUBROSA_OK);
    run(10);
    CHECK(alice.ended == 1 && bob.ended == 1);
    CHECK(told_established == 1 && logged > 3 && told_busy == logged);
    logged = 0;
    IS(subrosa_engine_set_logger(alice.engine, SUBROSA_LOG_DEBUG, NULL, NULL), SUBROSA_OK);
    opportunistic();
    refused();
    IS(subrosa_engine_forget_call(alice.engine, alice.call), SUBROSA_OK);
    IS(subrosa_call_get_info(alice.engine, alice.call, &info), SUBROSA_ERR_UNKNOWN_ID);
    IS(subrosa_engine_shut_down(alice.engine, now), SUBROSA_OK);
    settle();
    CHECK(!logged);
    subrosa_engine_free(alice.engine);
    subrosa_engine_free(bob.engine);
    return 0;
}
