/* 16-bit mono WAV files, read whole and written as they come. */
#ifndef WAV_H
#define WAV_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct wav_player {
    int16_t *samples;
    size_t count;
    size_t next;
    uint32_t rate;
};

/* Reads a file; 0 on success, else a sentence is in *problem. */
int wav_open(struct wav_player *player, const char *path, const char **problem);
/* The next samples, silence after the end. */
void wav_play(struct wav_player *player, int16_t *samples, size_t count);
void wav_close(struct wav_player *player);

struct wav_recorder {
    FILE *file;
    uint32_t rate;
    uint32_t bytes;
};

int wav_create(struct wav_recorder *recorder, const char *path, uint32_t rate);
int wav_record(struct wav_recorder *recorder, const int16_t *samples, size_t count);
/* Completes the header; 0 if everything reached the disk. */
int wav_finish(struct wav_recorder *recorder);

#endif
