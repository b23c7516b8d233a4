#include "train/csv.h"

#include <stdlib.h>

#include "crypto/rng.h"

enum state { FIELD_START, UNQUOTED, QUOTED, QUOTE_IN_QUOTED, AFTER_CR, RECORD_END };

struct csv {
    struct textfile *textfile;
    const char *fault;
    bool begun; // the byte order mark, if any, is behind us
    enum state state;
    size_t read;     // bytes of this record
    size_t len;      // bytes in `text`
    size_t n_fields; // fields begun
    uint32_t starts[CSV_MAX_RECORD + 1];
    char text[CSV_MAX_RECORD + 2];
};

enum choir_err csv_open(struct textfile *textfile, struct csv **out)
{
    struct csv *csv = calloc(1, sizeof *csv);

    if (csv == NULL)
        return CHOIR_ERR_MEMORY;
    csv->textfile = textfile;
    csv->fault = "";
    *out = csv;
    return CHOIR_OK;
}

void csv_close(struct csv *csv)
{
    if (csv == NULL)
        return;
    rng_wipe(csv->text, sizeof csv->text);
    free(csv);
}

static enum choir_err fail(struct csv *csv, const char *fault)
{
    csv->fault = fault;
    return CHOIR_ERR_FORMAT;
}

// The text cannot overflow: each byte read adds at most one, and the end of the file one more.
static void put(struct csv *csv, char byte)
{
    csv->text[csv->len++] = byte;
}

static void begin_field(struct csv *csv)
{
    csv->starts[csv->n_fields++] = (uint32_t)csv->len;
    csv->state = FIELD_START;
}

static void end_field(struct csv *csv, enum state next)
{
    put(csv, '\0');
    if (next == FIELD_START)
        begin_field(csv);
    else
        csv->state = next;
}

// A byte that may end a field: true if it did.
static bool ends_field(struct csv *csv, char byte)
{
    if (byte == ',')
        end_field(csv, FIELD_START);
    else if (byte == '\n')
        end_field(csv, RECORD_END);
    else if (byte == '\r')
        end_field(csv, AFTER_CR);
    else
        return false;
    return true;
}

static enum choir_err take(struct csv *csv, char byte)
{
    switch (csv->state) {
    case QUOTED:
        if (byte == '"')
            csv->state = QUOTE_IN_QUOTED;
        else
            put(csv, byte);
        return CHOIR_OK;
    case QUOTE_IN_QUOTED:
        if (byte == '"') {
            put(csv, byte);
            csv->state = QUOTED;
        } else if (!ends_field(csv, byte)) {
            return fail(csv, "there is text after a closing quote");
        }
        return CHOIR_OK;
    case AFTER_CR:
        if (byte != '\n')
            return fail(csv, "a carriage return stands without a line feed");
        csv->state = RECORD_END;
        return CHOIR_OK;
    case FIELD_START:
        if (byte == '"') {
            csv->state = QUOTED;
            return CHOIR_OK;
        }
        break;
    case UNQUOTED:
        if (byte == '"')
            return fail(csv, "there is a quote inside an unquoted field");
        break;
    case RECORD_END:
    default:
        return CHOIR_OK;
    }
    if (!ends_field(csv, byte)) {
        put(csv, byte);
        csv->state = UNQUOTED;
    }
    return CHOIR_OK;
}

// The end of the file within a record: fine but for an open quote.
static enum choir_err end_of_file(struct csv *csv)
{
    enum choir_err err = textfile_result(csv->textfile);

    if (err == CHOIR_ERR_FORMAT)
        return fail(csv, "the compressed file is corrupt or cut off");
    if (err != CHOIR_OK)
        return err;
    if (csv->state == QUOTED)
        return fail(csv, "the file ends inside a quoted field");
    if (csv->state == AFTER_CR)
        return fail(csv, "a carriage return stands without a line feed");
    end_field(csv, RECORD_END);
    return CHOIR_OK;
}

static int first_byte(struct csv *csv)
{
    int byte = textfile_byte(csv->textfile), second, third;

    if (csv->begun || byte != 0xef) {
        csv->begun = true;
        return byte;
    }
    csv->begun = true;
    second = textfile_byte(csv->textfile);
    third = second == 0xbb ? textfile_byte(csv->textfile) : -1;
    return third == 0xbf ? textfile_byte(csv->textfile)
                         : 0; // half a mark: refused like a zero byte
}

enum choir_err csv_next(struct csv *csv, bool *more)
{
    int byte = first_byte(csv);

    csv->len = 0;
    csv->read = 0;
    csv->n_fields = 0;
    begin_field(csv);
    if (byte < 0) {
        *more = false;
        return end_of_file(csv);
    }
    while (csv->state != RECORD_END) {
        enum choir_err err;

        if (byte == 0)
            return fail(csv, "there is a zero byte; this is not CSV text");
        if (++csv->read > CSV_MAX_RECORD)
            return fail(csv, "the record is longer than 65536 bytes");
        err = byte < 0 ? end_of_file(csv) : take(csv, (char)byte);
        if (err != CHOIR_OK)
            return err;
        if (csv->state != RECORD_END)
            byte = textfile_byte(csv->textfile);
    }
    *more = true;
    return CHOIR_OK;
}

size_t csv_n_fields(const struct csv *csv)
{
    return csv->n_fields;
}

const char *csv_field(const struct csv *csv, size_t i)
{
    return csv->text + csv->starts[i];
}

const char *csv_fault(const struct csv *csv)
{
    return csv->fault;
}
