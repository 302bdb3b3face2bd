/*
 * Microphone and loudspeaker from C, on the sound servers of tests/interop/audio_device.py: lists,
 * the echo test, another device, tones, events. "events" instead: waits for both to be pulled out
 * and put in again, and says so.
 */
#include "check.h"

#define RATE 16000

static int is(subrosa_str text, const char *wanted) {
    return text.len == strlen(wanted) && !memcmp(text.ptr, wanted, text.len);
}

/* A list has a device of this id, and its rates. */
static void is_listed(const char *id, int32_t direction) {
    subrosa_device_list *list = NULL;
    subrosa_device_info info;
    size_t count = 0, i, found = 0;
    info.size = sizeof info;
    IS(direction == SUBROSA_DEVICE_INPUT ? subrosa_audio_device_microphones(&list)
                                         : subrosa_audio_device_loudspeakers(&list), SUBROSA_OK);
    IS(subrosa_device_list_len(list, &count), SUBROSA_OK);
    for (i = 0; i < count; i++) {
        IS(subrosa_device_list_get(list, i, &info), SUBROSA_OK);
        if (!is(info.id, id)) continue;
        found++;
        CHECK(info.direction == direction && info.name.len > 0);
        CHECK(info.sample_rate >= info.min_rate && info.sample_rate <= info.max_rate);
        CHECK(info.sample_rate > 0);
    }
    CHECK(found == 1);
    IS(subrosa_device_list_get(list, count, &info), SUBROSA_ERR_INVALID);
    subrosa_device_list_free(list);
}

static subrosa_audio_device *open_pair(const char *microphone, const char *loudspeaker) {
    subrosa_audio_device *device = NULL;
    IS(subrosa_audio_device_open_named(RATE, str("no such thing"), str(""), &device), SUBROSA_ERR_SYSTEM);
    IS(subrosa_audio_device_open_named(12345, str(microphone), str(loudspeaker), &device), SUBROSA_ERR_INVALID);
    IS(subrosa_audio_device_open_named(RATE, str(microphone), str(loudspeaker), &device), SUBROSA_OK);
    return device;
}

static void uses(subrosa_audio_device *device, int32_t direction, const char *wanted) {
    subrosa_str id = {NULL, 0};
    IS(subrosa_audio_device_in_use(device, direction, &id), SUBROSA_OK);
    CHECK(is(id, wanted));
}

/* Something comes back from one pair, and nothing from the other. */
static void echo_test(subrosa_audio_device *device) {
    subrosa_echo_measurement found;
    subrosa_str why = {NULL, 0};
    memset(&found, 0, sizeof found);
    IS(subrosa_audio_device_measure_echo(device, &found), SUBROSA_ERR_STRUCT_SIZE);
    found.size = sizeof found;
    IS(subrosa_audio_device_measure_echo(device, &found), SUBROSA_OK);
    CHECK(found.came_back == 1 && found.delay_us > 20000 && found.delay_us < 600000);
    CHECK(found.level_db > -1 && found.level_db < 1 && found.likeness > 0.5);
    printf("C: came back after %.1f ms, %+.1f dB\n", (double)found.delay_us / 1000, (double)found.level_db);
    IS(subrosa_audio_device_choose(device, SUBROSA_DEVICE_INPUT, str("no such thing")), SUBROSA_ERR_SYSTEM);
    IS(subrosa_audio_device_last_error(device, &why), SUBROSA_OK);
    CHECK(why.len > 0);
    IS(subrosa_audio_device_choose(device, 3, str("")), SUBROSA_ERR_INVALID);
    uses(device, SUBROSA_DEVICE_INPUT, "alice_back");
    IS(subrosa_audio_device_choose(device, SUBROSA_DEVICE_INPUT, str("bob_mic")), SUBROSA_OK);
    uses(device, SUBROSA_DEVICE_INPUT, "bob_mic");
    IS(subrosa_audio_device_measure_echo(device, &found), SUBROSA_OK);
    CHECK(found.came_back == 0 && found.delay_us == 0);
}

/* A tone is played, heard by the meter, and ends when it is told to. */
static void tones(subrosa_audio_device *device) {
    subrosa_device_stats stats;
    subrosa_device_event event;
    float peak = -96, rms = -96;
    int32_t playing = 0, tries;
    memset(&stats, 0, sizeof stats);
    stats.size = sizeof stats;
    event.size = sizeof event;
    IS(subrosa_audio_device_play_tone(device, str("DE"), 77, 1000), SUBROSA_ERR_INVALID);
    IS(subrosa_audio_device_play_tone(device, str("DE"), SUBROSA_TONE_DIAL, 60000), SUBROSA_OK);
    /* The meter is ahead of the device, which begins once enough is in store. */
    for (tries = 0; tries < 100 && (rms < -30 || stats.delay_us == 0); tries++) {
        IS(subrosa_audio_device_next_event(device, 50, &event), SUBROSA_OK);
        IS(subrosa_audio_device_level(device, SUBROSA_DEVICE_OUTPUT, &peak, &rms), SUBROSA_OK);
        IS(subrosa_audio_device_stats(device, SUBROSA_DEVICE_OUTPUT, &stats), SUBROSA_OK);
    }
    CHECK(peak > -20 && rms > -30 && rms < 0);
    IS(subrosa_audio_device_is_playing(device, &playing), SUBROSA_OK);
    CHECK(playing == 1);
    CHECK(stats.delay_us > 0 && stats.delay_us < 500000);
    IS(subrosa_audio_device_play_microphone(device, 100), SUBROSA_OK);
    IS(subrosa_audio_device_stop_playing(device), SUBROSA_OK);
    IS(subrosa_audio_device_is_playing(device, &playing), SUBROSA_OK);
    CHECK(playing == 0);
}

/* Both are pulled out and put in again, in any order. */
static void events(subrosa_audio_device *device) {
    int lost[3] = {0, 0, 0}, back[3] = {0, 0, 0}, tries;
    subrosa_device_event event;
    event.size = sizeof event;
    printf("C: waiting\n");
    fflush(stdout);
    for (tries = 0; tries < 600 && back[1] + back[2] < 2; tries++) {
        IS(subrosa_audio_device_next_event(device, 100, &event), SUBROSA_OK);
        if (event.kind == SUBROSA_DEVICE_EVENT_LOST) {
            lost[event.direction] = is(event.replacement, "default");
            printf("C: lost %.*s\n", (int)event.id.len, event.id.ptr);
        } else if (event.kind == SUBROSA_DEVICE_EVENT_RESTORED) {
            back[event.direction] = lost[event.direction];
            printf("C: back %.*s\n", (int)event.id.len, event.id.ptr);
        }
        fflush(stdout);
    }
    CHECK(back[SUBROSA_DEVICE_INPUT] && back[SUBROSA_DEVICE_OUTPUT]);
}

int main(int argc, char **argv) {
    subrosa_audio_device *device = NULL;
    if (argc > 1 && !strcmp(argv[1], "events")) {
        device = open_pair("alice_mic2", "alice_ear2");
        events(device);
    } else {
        is_listed("alice_mic", SUBROSA_DEVICE_INPUT);
        is_listed("alice_ear", SUBROSA_DEVICE_OUTPUT);
        device = open_pair("alice_back", "alice_ear of the test");
        uses(device, SUBROSA_DEVICE_OUTPUT, "alice_ear");
        echo_test(device);
        tones(device);
    }
    subrosa_audio_device_free(device);
    subrosa_audio_device_free(NULL);
    return 0;
}
