#include "train/csv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/train/memory_file.h"

struct reader {
    int fd;
    struct textfile *textfile;
    struct csv *csv;
};

static struct reader open_bytes(const void *bytes, size_t len)
{
    struct reader reader = {.fd = memory_file_of(bytes, len)};

    assert_true(reader.fd >= 0);
    assert_int_equal(textfile_open(reader.fd, &reader.textfile), CHOIR_OK);
    assert_int_equal(csv_open(reader.textfile, &reader.csv), CHOIR_OK);
    return reader;
}

static void shut(struct reader *reader)
{
    csv_close(reader->csv);
    textfile_close(reader->textfile);
    assert_int_equal(close(reader->fd), 0);
}

static void expect_fields(struct reader *reader, size_t n, const char *const *fields)
{
    bool more = false;

    assert_int_equal(csv_next(reader->csv, &more), CHOIR_OK);
    assert_true(more);
    assert_int_equal(csv_n_fields(reader->csv), n);
    for (size_t i = 0; i < n; i++)
        assert_string_equal(csv_field(reader->csv, i), fields[i]);
}

static void expect_end(struct reader *reader)
{
    bool more = true;

    assert_int_equal(csv_next(reader->csv, &more), CHOIR_OK);
    assert_false(more);
}

static void expect_fault(const char *text, const char *word)
{
    struct reader reader = open_bytes(text, strlen(text));
    bool more = false;

    assert_int_equal(csv_next(reader.csv, &more), CHOIR_ERR_FORMAT);
    assert_non_null(strstr(csv_fault(reader.csv), word));
    shut(&reader);
}

static void quotes_commas_and_line_ends_are_read_as_rfc_4180_says(void **state)
{
    static const char text[] = "a,\"b,c\",\"d\"\"e\"\r\n\"two\r\nlines\",,x\n";
    struct reader reader = open_bytes(text, strlen(text));

    (void)state;
    expect_fields(&reader, 3, (const char *[]){"a", "b,c", "d\"e"});
    expect_fields(&reader, 3, (const char *[]){"two\r\nlines", "", "x"});
    expect_end(&reader);
    shut(&reader);
}

static void the_last_line_needs_no_line_end(void **state)
{
    struct reader reader = open_bytes("1,2\n3,", 6);

    (void)state;
    expect_fields(&reader, 2, (const char *[]){"1", "2"});
    expect_fields(&reader, 2, (const char *[]){"3", ""});
    expect_end(&reader);
    shut(&reader);
}

static void a_byte_order_mark_is_skipped(void **state)
{
    struct reader reader = open_bytes("\xef\xbb\xbfname,b\n", 10);

    (void)state;
    expect_fields(&reader, 2, (const char *[]){"name", "b"});
    expect_end(&reader);
    shut(&reader);
}

static void malformed_text_is_refused(void **state)
{
    (void)state;
    expect_fault("a\"b,c\n", "quote inside");
    expect_fault("\"a\"b,c\n", "after a closing quote");
    expect_fault("\"a,c\n", "inside a quoted field");
    expect_fault("a\rb\n", "carriage return");
    expect_fault("a\r", "carriage return");
}

static void a_zero_byte_is_refused(void **state)
{
    struct reader reader = open_bytes("a\0b\n", 4);
    bool more;

    (void)state;
    assert_int_equal(csv_next(reader.csv, &more), CHOIR_ERR_FORMAT);
    shut(&reader);
}

static void a_record_of_the_longest_length_is_read_and_one_byte_more_refused(void **state)
{
    char *text = malloc(CSV_MAX_RECORD + 1);
    struct reader reader;
    bool more;

    (void)state;
    assert_non_null(text);
    memset(text, 'x', CSV_MAX_RECORD + 1);
    text[CSV_MAX_RECORD - 1] = '\n';
    reader = open_bytes(text, CSV_MAX_RECORD);
    assert_int_equal(csv_next(reader.csv, &more), CHOIR_OK);
    assert_int_equal(strlen(csv_field(reader.csv, 0)), CSV_MAX_RECORD - 1);
    shut(&reader);

    text[CSV_MAX_RECORD - 1] = 'x';
    text[CSV_MAX_RECORD] = '\n';
    reader = open_bytes(text, CSV_MAX_RECORD + 1);
    assert_int_equal(csv_next(reader.csv, &more), CHOIR_ERR_FORMAT);
    shut(&reader);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quotes_commas_and_line_ends_are_read_as_rfc_4180_says),
        cmocka_unit_test(the_last_line_needs_no_line_end),
        cmocka_unit_test(a_byte_order_mark_is_skipped),
        cmocka_unit_test(malformed_text_is_refused),
        cmocka_unit_test(a_zero_byte_is_refused),
        cmocka_unit_test(a_record_of_the_longest_length_is_read_and_one_byte_more_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
