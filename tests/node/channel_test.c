#include "node/channel.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int ends[2];

static int open_pair(void **state)
{
    (void)state;
    return channel_pair(ends) == CHOIR_OK ? 0 : -1;
}

static int close_pair(void **state)
{
    (void)state;
    close(ends[0]);
    if (ends[1] >= 0)
        close(ends[1]);
    return 0;
}

static int count_open(void)
{
    int n = 0;

    for (int fd = 0; fd < 256; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            n++;
    return n;
}

static void a_message_arrives_whole_with_its_descriptor(void **state)
{
    char text[8] = "";
    uint64_t taken = 0;
    int file = -1, carried = -1;

    (void)state;
    assert_int_equal(channel_file("model", 5, &file), CHOIR_OK);
    assert_int_equal(channel_send(ends[0], &(uint64_t){7}, sizeof(uint64_t), file), CHOIR_OK);
    close(file);
    assert_int_equal(channel_take(ends[1], &taken, sizeof taken, 0, &carried), CHOIR_OK);
    assert_int_equal(taken, 7);
    assert_int_equal(pread(carried, text, sizeof text, 0), 5);
    assert_string_equal(text, "model");
    close(carried);
}

static void a_handed_over_file_cannot_be_changed(void **state)
{
    int file = -1;

    (void)state;
    assert_int_equal(channel_file("model", 5, &file), CHOIR_OK);
    assert_int_equal(pwrite(file, "x", 1, 0), -1);
    assert_int_equal(ftruncate(file, 0), -1);
    close(file);
}

static void a_message_of_another_length_is_thrown_away(void **state)
{
    uint64_t taken;
    int carried = -1;

    (void)state;
    assert_int_equal(send(ends[0], "abc", 3, 0), 3);
    assert_int_equal(send(ends[0], "0123456789", 10, 0), 10);
    assert_int_equal(channel_take(ends[1], &taken, sizeof taken, 0, &carried), CHOIR_ERR_FORMAT);
    assert_int_equal(channel_take(ends[1], &taken, sizeof taken, 0, &carried), CHOIR_ERR_FORMAT);
    assert_int_equal(channel_take(ends[1], &taken, sizeof taken, 0, &carried), CHOIR_ERR_AGAIN);
}

static void two_descriptors_at_once_are_refused_and_closed(void **state)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(2 * sizeof(int))];
    } room = {0};
    const int both[2] = {0, 1};
    uint64_t word = 1;
    struct iovec piece = {.iov_base = &word, .iov_len = sizeof word};
    struct msghdr header = {.msg_iov = &piece,
                            .msg_iovlen = 1,
                            .msg_control = room.bytes,
                            .msg_controllen = sizeof room.bytes};
    struct cmsghdr *part = CMSG_FIRSTHDR(&header);
    int carried = -1, before;

    (void)state;
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof both);
    memcpy(CMSG_DATA(part), both, sizeof both);
    assert_int_equal(sendmsg(ends[0], &header, 0), sizeof word);
    before = count_open();
    assert_int_equal(channel_take(ends[1], &word, sizeof word, 0, &carried), CHOIR_ERR_FORMAT);
    assert_int_equal(carried, -1);
    assert_int_equal(count_open(), before);
}

static void the_end_of_the_other_side_is_seen(void **state)
{
    uint64_t taken;
    int carried = -1;

    (void)state;
    close(ends[1]);
    ends[1] = -1;
    assert_int_equal(channel_take(ends[0], &taken, sizeof taken, 0, &carried), CHOIR_ERR_PEER);
    assert_int_equal(channel_send(ends[0], &(uint64_t){7}, sizeof(uint64_t), -1), CHOIR_ERR_PEER);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_pair, close_pair)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_message_arrives_whole_with_its_descriptor),
        TEST(a_handed_over_file_cannot_be_changed),
        TEST(a_message_of_another_length_is_thrown_away),
        TEST(two_descriptors_at_once_are_refused_and_closed),
        TEST(the_end_of_the_other_side_is_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
