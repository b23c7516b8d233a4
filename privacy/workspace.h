/* workspace - marks a large local array that is written before it is read.
 *
 * Locals are cleared where they come into being (-ftrivial-auto-var-init=zero), which for
 * kilobytes in every training step would cost more than what is computed in them.
 */
#ifndef CHOIR_PRIVACY_WORKSPACE_H
#define CHOIR_PRIVACY_WORKSPACE_H

#ifdef __has_attribute
#if __has_attribute(uninitialized)
#define WORKSPACE __attribute__((uninitialized))
#endif
#endif
#ifndef WORKSPACE
#define WORKSPACE
#endif

#endif
