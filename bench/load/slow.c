/* slow PORT READERS BYTES_PER_SECOND SECONDS AUTHORIZATION PATH: many readers of one blob, each at a fixed rate.
 *
 * The receive buffers are small, so that the server sees the rate. Prints one JSON object: bytes of the fastest and
 * of the slowest reader, and how many connections ended before the time. */
#include "net.h"
#include <fcntl.h>

enum { TICK_US = 100000, RECEIVE_BUFFER = 64 << 10 };

struct reader { int fd; uint64_t got; int dead; };

static void begin(struct reader *r, int port, const char *authorization, const char *path) {
    char head[4096];
    int n = snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s%s%s\r\n", path, port,
                     *authorization ? "Authorization: " : "", authorization, *authorization ? "\r\n" : "");
    if ((r->fd = connect_to(port, RECEIVE_BUFFER)) < 0 || send(r->fd, head, n, MSG_NOSIGNAL) != n) die("connect");
    fcntl(r->fd, F_SETFL, O_NONBLOCK);
}

static void read_some(struct reader *r, size_t allowed) {
    static char buffer[1 << 20];
    if (r->dead) return;
    while (allowed) {
        ssize_t n = recv(r->fd, buffer, allowed < sizeof buffer ? allowed : sizeof buffer, 0);
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0 || (!r->got && strncmp(buffer + 9, "200", 3))) {
            if (n > 0) fprintf(stderr, "refused: %.*s\n", n < 300 ? (int)n : 300, buffer);
            r->dead = 1;
            return;
        }
        r->got += n;
        allowed -= n;
    }
}

int main(int argc, char **argv) {
    if (argc != 7) return fprintf(stderr, "slow PORT READERS BYTES_PER_SECOND SECONDS AUTHORIZATION PATH\n"), 2;
    int port = atoi(argv[1]), count = atoi(argv[2]), dead = 0;
    double rate = atof(argv[3]), seconds = atof(argv[4]);
    struct reader *all = calloc(count, sizeof *all);
    for (int i = 0; i < count; i++) begin(&all[i], port, argv[5], argv[6]);
    uint64_t start = now_us(), least = UINT64_MAX, most = 0;
    for (uint64_t tick = 1; now_us() < start + seconds * 1e6; tick++) {
        uint64_t due = rate * tick * TICK_US / 1e6;
        for (int i = 0; i < count; i++)
            if (all[i].got < due) read_some(&all[i], due - all[i].got);
        int64_t rest = start + tick * TICK_US - now_us();
        if (rest > 0) usleep(rest);
    }
    for (int i = 0; i < count; i++) {
        if (all[i].got < least) least = all[i].got;
        if (all[i].got > most) most = all[i].got;
        dead += all[i].dead;
    }
    printf("{\"seconds\": %.3f, \"least_bytes\": %lu, \"most_bytes\": %lu, \"broken\": %d}\n",
           (now_us() - start) / 1e6, least, most, dead);
    return 0;
}
