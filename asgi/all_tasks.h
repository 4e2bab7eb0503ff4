// asyncio's set of all tasks, entered and left without Python frames.
#pragma once

#include "asgi/module.h"

namespace fasterapi::asgi {

// Before Python 3.12 every Task enters a WeakSet, asyncio.tasks._all_tasks, whose add() and whose
// callback at a task's death are Python code: a tenth of what a short request costs. Gives that one
// set an add() of its own that does the same natively, once for the interpreter. Later versions
// have other means, and nothing is done. False with an error set.
bool quicken_all_tasks(Module& module);

}  // namespace fasterapi::asgi
