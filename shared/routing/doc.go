// Package routing answers which targets a condition calls.
//
// What is kept. A question (which targets has this event type, this method, this function; what is this target like) has an answer, and
// an answer rests on facts: one for each execution that had to be looked at, one for each target. That a thing does not exist is a fact
// too, and that nothing matches is an answer. Answers share their facts; a fact is kept as long as an answer rests on it, and answers are
// kept, the last asked the longest, as long as all of it fits into a number of bytes.
//
// What a change does. It makes the fact that it names gone, and every answer that rests on it asks again, for that fact alone. A fact that
// was being read when its change came is used by those who wait for it and is not kept. Nobody who asks after Forget has returned is
// given what was read before.
//
// When changes are learnt. The process that writes calls Forget at once. The others look at the feed of changes, never by themselves but
// when they are asked: see look.go for the ages. A fact is only kept after a first look, so that every later change is seen by a
// look; a look asks a little further back than the one before it, and forgets everything where it may have missed something.
package routing
