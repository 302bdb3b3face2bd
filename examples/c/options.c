/* The command line of the desk phone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "desk.h"

struct options opt = {.account = "sip:desk@localhost", .ip = "127.0.0.1", .seconds = 5, .limit = 60};

static void usage(void) {
    fprintf(stderr,
            "usage: desk_phone [options]\n"
            "  --account URI      who we are (sip:desk@localhost)\n"
            "  --register         register there; --user NAME and --password WORD for Digest\n"
            "  --call URI         call, then hang up after --seconds N (5) of talking\n"
            "  --answer           answer the first call\n"
            "  --policy P         off, preferred or required (off)\n"
            "  --ip IP            our address (127.0.0.1); --udp PORT (0: any, -1: none)\n"
            "  --cert F --key F   our certificate and key: listens for TLS at --tls PORT (0: any)\n"
            "  --ca F             whom to trust instead of the public CAs\n"
            "  --play F --record F  WAV, 16-bit mono, 16 kHz\n"
            "  --dtmf DIGITS      keys to press once the call is up\n"
            "  --dns IP:PORT      the DNS server (the first of /etc/resolv.conf)\n"
            "  --limit N          give up after N seconds in all (60)\n"
            "Exit status: 0 after a call, 1 if something cannot be used, 2 for a wrong option,\n"
            "3 if there was no call, 4 after a call with an open padlock under the policy required: its\n"
            "caller had no certificate, say, or it ended before the keys were agreed.\n");
    exit(2);
}

static int policy(const char *name) {
    if (!strcmp(name, "off")) return SUBROSA_POLICY_OFF;
    if (!strcmp(name, "preferred")) return SUBROSA_POLICY_PREFERRED;
    if (!strcmp(name, "required")) return SUBROSA_POLICY_REQUIRED;
    usage();
    return -1;
}

void read_options(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];
        if (!strcmp(name, "--register")) { opt.do_register = 1; continue; }
        if (!strcmp(name, "--answer")) { opt.answer = 1; continue; }
        const char *value = i + 1 < argc ? argv[++i] : NULL;
        if (!value) usage();
        if (!strcmp(name, "--account")) opt.account = value;
        else if (!strcmp(name, "--user")) opt.user = value;
        else if (!strcmp(name, "--password")) opt.password = value;
        else if (!strcmp(name, "--call")) opt.call = value;
        else if (!strcmp(name, "--policy")) opt.policy = policy(value);
        else if (!strcmp(name, "--ip")) opt.ip = value;
        else if (!strcmp(name, "--udp")) opt.udp_port = atoi(value);
        else if (!strcmp(name, "--tls")) opt.tls_port = atoi(value);
        else if (!strcmp(name, "--cert")) opt.cert = value;
        else if (!strcmp(name, "--key")) opt.key = value;
        else if (!strcmp(name, "--ca")) opt.ca = value;
        else if (!strcmp(name, "--play")) opt.play = value;
        else if (!strcmp(name, "--record")) opt.record = value;
        else if (!strcmp(name, "--dtmf")) opt.dtmf = value;
        else if (!strcmp(name, "--dns")) opt.dns = value;
        else if (!strcmp(name, "--seconds")) opt.seconds = (unsigned)atoi(value);
        else if (!strcmp(name, "--limit")) opt.limit = (unsigned)atoi(value);
        else usage();
    }
    if (!opt.call && !opt.answer) usage();
}
