#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wire/link_state.h"

static const size_t message_max[LINK_CHANNELS] = {LINK_CONTROL_MAX, LINK_BULK_MAX};

size_t link_largest(const struct link *link, enum link_channel channel, bool inward)
{
    bool from_site = (link->gate != NULL) == inward;

    return channel == LINK_CONTROL && from_site ? (size_t)LINK_CONTROL_UP_MAX
                                                : message_max[channel];
}

static enum choir_err send_to_site(struct link *link, uint32_t site, enum link_channel channel)
{
    struct route *route = route_of(link->routes, &link->roster, site);

    if (route == NULL || !route->known[channel])
        return CHOIR_ERR_PEER;
    if (zmq_send(plug_socket(&link->plug[channel]), route->id[channel], ROUTE_BYTES,
                 ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0)
        return CHOIR_OK;
    if (errno == EAGAIN)
        return CHOIR_ERR_AGAIN;
    route->known[channel] = false; // the connection is gone
    return CHOIR_ERR_PEER;
}

enum choir_err link_send(struct link *link, uint32_t site, enum link_channel channel,
                         const uint8_t *bytes, size_t len)
{
    enum choir_err err = CHOIR_OK;

    if (len == 0 || len > link_largest(link, channel, false))
        return CHOIR_ERR_FORMAT;
    if (link->gate != NULL)
        err = send_to_site(link, site, channel);
    else if (site != ROSTER_AGGREGATOR)
        err = CHOIR_ERR_PEER;
    else if (!link->line[channel].up)
        err = CHOIR_ERR_AGAIN;
    if (err != CHOIR_OK)
        return err;
    if (zmq_send(plug_socket(&link->plug[channel]), bytes, len, ZMQ_DONTWAIT) < 0)
        return errno == EAGAIN ? CHOIR_ERR_AGAIN : CHOIR_ERR_PEER;
    link->counts.sent_bytes += len;
    link->counts.sent_messages++;
    return CHOIR_OK;
}

struct link_letter {
    zmq_msg_t message;
};

enum choir_err link_letter_new(const uint8_t *bytes, size_t len, struct link_letter **out)
{
    struct link_letter *letter;

    if (len == 0 || len > LINK_CONTROL_MAX)
        return CHOIR_ERR_FORMAT;
    letter = malloc(sizeof *letter);
    if (letter == NULL)
        return CHOIR_ERR_MEMORY;
    if (zmq_msg_init_size(&letter->message, len) != 0) {
        free(letter);
        return CHOIR_ERR_MEMORY;
    }
    memcpy(zmq_msg_data(&letter->message), bytes, len);
    *out = letter;
    return CHOIR_OK;
}

void link_letter_free(struct link_letter *letter)
{
    if (letter == NULL)
        return;
    zmq_msg_close(&letter->message);
    free(letter);
}

enum choir_err link_send_letter(struct link *link, uint32_t site, struct link_letter *letter)
{
    enum choir_err err = send_to_site(link, site, LINK_CONTROL);
    size_t len = zmq_msg_size(&letter->message);
    zmq_msg_t copy;

    if (err != CHOIR_OK)
        return err;
    zmq_msg_init(&copy);
    zmq_msg_copy(&copy, &letter->message);
    if (zmq_msg_send(&copy, plug_socket(&link->plug[LINK_CONTROL]), ZMQ_DONTWAIT) < 0) {
        err = errno == EAGAIN ? CHOIR_ERR_AGAIN : CHOIR_ERR_PEER;
        zmq_msg_close(&copy);
        return err;
    }
    link->counts.sent_bytes += len;
    link->counts.sent_messages++;
    return CHOIR_OK;
}
