/* rosterpage - a roster as a person reads it. */
#ifndef CHOIR_CLI_ROSTERPAGE_H
#define CHOIR_CLI_ROSTERPAGE_H

/* Prints who is on the roster in the file `path` and what its rounds would look like, whoever
 * signed it. Returns an exit code. */
int rosterpage_show(const char *path);

#endif
