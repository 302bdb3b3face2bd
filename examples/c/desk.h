/* What the files of the desk phone share. */
#ifndef DESK_H
#define DESK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "subrosa.h"

#define MAX_SOCKETS 64

/* The command line: options.c. */
struct options {
    const char *account, *call, *ip, *cert, *key, *ca, *play, *record, *user, *password, *dtmf, *dns;
    int udp_port, tls_port, policy, answer, do_register;
    unsigned seconds, limit;
};
extern struct options opt;
void read_options(int argc, char **argv);

/* The main loop: desk_phone.c. */
extern subrosa_engine *engine;
uint64_t now_us(void);
void fatal(const char *what, const char *why);
void must(subrosa_status status, const char *what);

/* Sockets, and what the engine asks of them: sockets.c. */
enum kind { UNUSED, UDP, LISTENER, CONNECTING, STREAM, DNS };

struct slot {
    enum kind kind;
    int fd;
    uint64_t id;
    uint8_t *pending; /* what a stream could not take yet */
    size_t pending_len;
    int closing; /* close when `pending` is gone */
};

extern struct slot slots[MAX_SOCKETS];
socklen_t to_sockaddr(subrosa_addr a, struct sockaddr_storage *out);
subrosa_addr from_sockaddr(const struct sockaddr_storage *in);
subrosa_addr local_address(int fd);
struct slot *new_slot(enum kind kind, int fd, uint64_t id);
struct slot *find_udp(uint64_t id);
void drop_slot(struct slot *s);
void stream_broke(struct slot *s);
void do_bind_udp(const subrosa_output *o);
void do_listen(const subrosa_output *o);
void do_connect(const subrosa_output *o);
void flush(struct slot *s);
void do_stream_data(const subrosa_output *o);
void do_close_stream(const subrosa_output *o);

#endif
