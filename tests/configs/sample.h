/* sample - a plan that reads, and copies of it with one thing changed. */
#ifndef CHOIR_TESTS_CONFIGS_SAMPLE_H
#define CHOIR_TESTS_CONFIGS_SAMPLE_H

extern const char sample_plan[];

/* A copy of `text` with the first `from` replaced by `to`; the caller's (free). Aborts if
 * `from` does not stand in it. */
char *sample_change(const char *text, const char *from, const char *to);

/* Reads a file of the source tree ("configs/schema/plan.json") as text, or NULL. */
char *sample_file(const char *name);

/* The path of a file of the source tree, in static memory. */
const char *sample_path(const char *name);

#endif
