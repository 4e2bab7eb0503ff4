#include "asgi/all_tasks.h"

namespace fasterapi::asgi {

#if PY_VERSION_HEX < 0x030C0000

namespace {

// The parts of a weakref.WeakSet, as a tuple that the two functions below are bound to.
enum Part : Py_ssize_t {
  kData,       // set of weak references
  kPending,    // list: removals put off while someone iterates
  kIterating,  // set: who does
  kCommit,     // bound method _commit_removals
  kParts
};

PyObject* part(PyObject* parts, Part which) { return PyTuple_GET_ITEM(parts, which); }

// WeakSet._remove(reference): a member has died.
PyObject* remove(PyObject* parts, PyObject* reference) {
  int result = PySet_GET_SIZE(part(parts, kIterating)) > 0 ? PyList_Append(part(parts, kPending), reference)
                                                           : PySet_Discard(part(parts, kData), reference);
  if (result < 0) return nullptr;
  Py_RETURN_NONE;
}

PyMethodDef kRemove = {"_remove", remove, METH_O, nullptr};

// WeakSet.add(item).
PyObject* add(PyObject* parts_and_remove, PyObject* item) {
  PyObject* parts = PyTuple_GET_ITEM(parts_and_remove, 0);
  if (PyList_GET_SIZE(part(parts, kPending)) > 0 && !Ref::steal(PyObject_CallNoArgs(part(parts, kCommit)))) {
    return nullptr;
  }
  Ref reference = Ref::steal(PyWeakref_NewRef(item, PyTuple_GET_ITEM(parts_and_remove, 1)));
  if (!reference || PySet_Add(part(parts, kData), reference.get()) != 0) return nullptr;
  Py_RETURN_NONE;
}

PyMethodDef kAdd = {"add", add, METH_O, "Adds a task, as WeakSet.add()."};

// The parts, or null without an error where the set is not built as expected.
Ref parts_of(PyObject* weak_set) {
  Ref data = Ref::steal(PyObject_GetAttrString(weak_set, "data"));
  Ref pending = data ? Ref::steal(PyObject_GetAttrString(weak_set, "_pending_removals")) : Ref();
  Ref iterating = pending ? Ref::steal(PyObject_GetAttrString(weak_set, "_iterating")) : Ref();
  Ref commit = iterating ? Ref::steal(PyObject_GetAttrString(weak_set, "_commit_removals")) : Ref();
  if (!commit) {
    if (PyErr_ExceptionMatches(PyExc_AttributeError)) PyErr_Clear();
    return Ref();
  }
  if (!PySet_CheckExact(data.get()) || !PyList_CheckExact(pending.get()) ||
      !PySet_CheckExact(iterating.get())) {
    return Ref();
  }
  static_assert(kParts == 4);
  return Ref::steal(PyTuple_Pack(kParts, data.get(), pending.get(), iterating.get(), commit.get()));
}

}  // namespace

bool quicken_all_tasks(Module& module) {
  if (module.all_tasks_quickened) return true;
  module.all_tasks_quickened = true;
  Ref tasks = Ref::steal(PyImport_ImportModule("asyncio.tasks"));
  Ref weak_set = tasks ? Ref::steal(PyObject_GetAttrString(tasks.get(), "_all_tasks")) : Ref();
  Ref parts = weak_set ? parts_of(weak_set.get()) : Ref();
  if (!parts) return !PyErr_Occurred();
  Ref remover = Ref::steal(PyCFunction_New(&kRemove, parts.get()));
  Ref bound = remover ? Ref::steal(PyTuple_Pack(2, parts.get(), remover.get())) : Ref();
  Ref adder = bound ? Ref::steal(PyCFunction_New(&kAdd, bound.get())) : Ref();
  return adder && PyObject_SetAttrString(weak_set.get(), "add", adder.get()) == 0;
}

#else

bool quicken_all_tasks(Module&) { return true; }

#endif

}  // namespace fasterapi::asgi
