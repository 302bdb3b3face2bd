#include "wav.h"

#include <stdlib.h>
#include <string.h>

static uint32_t le32(const uint8_t *b) {
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static uint16_t le16(const uint8_t *b) { return (uint16_t)(b[0] | b[1] << 8); }

static void put32(uint8_t *b, uint32_t v) {
    for (int i = 0; i < 4; i++) b[i] = (uint8_t)(v >> (8 * i));
}

static int read_samples(struct wav_player *player, FILE *file, uint32_t bytes) {
    player->count = bytes / 2;
    player->samples = malloc(player->count ? player->count * sizeof(int16_t) : 1);
    if (!player->samples) return -1;
    for (size_t i = 0; i < player->count; i++) {
        uint8_t b[2];
        if (fread(b, 1, 2, file) != 2) {
            player->count = i; /* cut off: as far as it goes */
            break;
        }
        player->samples[i] = (int16_t)le16(b);
    }
    return 0;
}

int wav_open(struct wav_player *player, const char *path, const char **problem) {
    uint8_t head[12], chunk[8], format[16];
    int found = 0;
    memset(player, 0, sizeof *player);
    *problem = "cannot be opened";
    FILE *file = fopen(path, "rb");
    if (!file) return -1;
    *problem = "is not a WAV file";
    if (fread(head, 1, 12, file) != 12 || memcmp(head, "RIFF", 4) || memcmp(head + 8, "WAVE", 4)) {
        fclose(file);
        return -1;
    }
    *problem = "is not 16-bit mono PCM";
    while (fread(chunk, 1, 8, file) == 8) {
        uint32_t size = le32(chunk + 4);
        if (!memcmp(chunk, "fmt ", 4) && size >= 16 && fread(format, 1, 16, file) == 16) {
            if (le16(format) != 1 || le16(format + 2) != 1 || le16(format + 14) != 16) break;
            player->rate = le32(format + 4);
            size -= 16;
        } else if (!memcmp(chunk, "data", 4) && player->rate) {
            /* A file is at most 4 GB, and this is a telephone: ten minutes at 48 kHz. */
            found = read_samples(player, file, size < 57600000 ? size : 57600000) == 0;
            break;
        }
        if (fseek(file, (long)(size + (size & 1)), SEEK_CUR)) break;
    }
    fclose(file);
    return found ? 0 : -1;
}

void wav_play(struct wav_player *player, int16_t *samples, size_t count) {
    size_t left = player->count - player->next;
    size_t n = count < left ? count : left;
    if (n) memcpy(samples, player->samples + player->next, n * sizeof *samples);
    memset(samples + n, 0, (count - n) * sizeof *samples);
    player->next += n;
}

void wav_close(struct wav_player *player) {
    free(player->samples);
    memset(player, 0, sizeof *player);
}

static int write_header(struct wav_recorder *recorder) {
    uint8_t head[44] = "RIFF....WAVEfmt ";
    put32(head + 4, 36 + recorder->bytes);
    put32(head + 16, 16);
    head[20] = 1; /* PCM */
    head[22] = 1; /* mono */
    put32(head + 24, recorder->rate);
    put32(head + 28, recorder->rate * 2);
    head[32] = 2;
    head[34] = 16;
    memcpy(head + 36, "data", 4);
    put32(head + 40, recorder->bytes);
    return fwrite(head, 1, sizeof head, recorder->file) == sizeof head ? 0 : -1;
}

int wav_create(struct wav_recorder *recorder, const char *path, uint32_t rate) {
    memset(recorder, 0, sizeof *recorder);
    recorder->rate = rate;
    recorder->file = fopen(path, "wb");
    return recorder->file ? write_header(recorder) : -1;
}

int wav_record(struct wav_recorder *recorder, const int16_t *samples, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint8_t b[2] = {(uint8_t)((uint16_t)samples[i] & 0xff), (uint8_t)((uint16_t)samples[i] >> 8)};
        if (fwrite(b, 1, 2, recorder->file) != 2) return -1;
    }
    recorder->bytes += (uint32_t)(count * 2);
    return 0;
}

int wav_finish(struct wav_recorder *recorder) {
    int failed = fseek(recorder->file, 0, SEEK_SET) || write_header(recorder);
    failed |= fclose(recorder->file);
    recorder->file = NULL;
    return failed ? -1 : 0;
}
