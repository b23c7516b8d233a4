#include "ops/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"

static char path[64];

static int choose_path(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "/tmp/choir-control-%ld", (long)getpid());
    return 0;
}

static int remove_path(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

static void a_frame_arrives_whole(void **state)
{
    enum control_kind kind = CONTROL_OK;
    uint8_t *payload = NULL;
    size_t len = 0;
    int listening = -1, client = -1, server = -1;

    (void)state;
    assert_int_equal(control_listen(path, &listening), CHOIR_OK);
    assert_int_equal(control_connect(path, &client), CHOIR_OK);
    assert_int_equal(control_accept(listening, &server), CHOIR_OK);
    assert_int_equal(control_send(client, CONTROL_LAUNCH, "plan", 4), CHOIR_OK);
    assert_int_equal(control_receive(server, &kind, &payload, &len), CHOIR_OK);
    assert_int_equal(kind, CONTROL_LAUNCH);
    assert_int_equal(len, 4);
    assert_memory_equal(payload, "plan", 5);
    free(payload);
    close(client);
    close(server);
    close(listening);
}

static void only_the_owner_can_reach_the_socket(void **state)
{
    struct stat about;
    int listening = -1;

    (void)state;
    assert_int_equal(control_listen(path, &listening), CHOIR_OK);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    close(listening);
}

static void a_frame_that_claims_too_much_is_refused_before_any_allocation(void **state)
{
    enum control_kind kind = CONTROL_OK;
    uint8_t head[5], *payload = NULL;
    size_t len = 0;
    int pair[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    put_u32(head, UINT32_MAX);
    head[4] = CONTROL_WATCH;
    assert_int_equal(write(pair[0], head, sizeof head), sizeof head);
    assert_int_equal(control_receive(pair[1], &kind, &payload, &len), CHOIR_ERR_FORMAT);
    assert_null(payload);
    close(pair[0]);
    close(pair[1]);
}

static void a_peer_that_leaves_in_the_middle_is_noticed(void **state)
{
    enum control_kind kind = CONTROL_OK;
    uint8_t *payload = NULL;
    size_t len = 0;
    int pair[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(write(pair[0], "\x10\0", 2), 2);
    close(pair[0]);
    assert_int_equal(control_receive(pair[1], &kind, &payload, &len), CHOIR_ERR_PEER);
    close(pair[1]);
}

static void a_socket_that_nobody_serves_is_told_apart(void **state)
{
    int fd = -1;

    (void)state;
    unlink(path);
    assert_int_equal(control_connect(path, &fd), CHOIR_ERR_MISSING);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, choose_path, remove_path)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_frame_arrives_whole),
        TEST(only_the_owner_can_reach_the_socket),
        TEST(a_frame_that_claims_too_much_is_refused_before_any_allocation),
        TEST(a_peer_that_leaves_in_the_middle_is_noticed),
        TEST(a_socket_that_nobody_serves_is_told_apart),
    };

    return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
