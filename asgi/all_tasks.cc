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
  kModule,     // ours
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
  auto* module = static_cast<Module*>(PyModule_GetState(part(parts, kModule)));
  if (module->first_task != nullptr && module->first_task->take(item)) Py_RETURN_NONE;
  if (PyList_GET_SIZE(part(parts, kPending)) > 0 && !Ref::steal(PyObject_CallNoArgs(part(parts, kCommit)))) {
    return nullptr;
  }
  Ref reference = Ref::steal(PyWeakref_NewRef(item, PyTuple_GET_ITEM(parts_and_remove, 1)));
  if (!reference || PySet_Add(part(parts, kData), reference.get()) != 0) return nullptr;
  Py_RETURN_NONE;
}

PyMethodDef kAdd = {"add", add, METH_O, "Adds a task, as WeakSet.add()."};

// The parts, or null without an error where the set is not built as expected.
Ref parts_of(PyObject* weak_set, PyObject* module) {
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
  static_assert(kParts == 5);
  return Ref::steal(PyTuple_Pack(kParts, data.get(), pending.get(), iterating.get(), commit.get(), module));
}

constexpr const char* kTaskName = "fasterapi._native.first_task";

// As a weak reference is called: the task, or None.
PyObject* first_task(PyObject* capsule, PyObject*) {
  auto** task = static_cast<PyObject**>(PyCapsule_GetPointer(capsule, kTaskName));
  if (task == nullptr) return nullptr;
  return Py_NewRef(*task == nullptr ? Py_None : *task);
}

PyMethodDef kFirstTask = {"first_task", first_task, METH_NOARGS, nullptr};

void free_task(PyObject* capsule) { PyMem_Free(PyCapsule_GetPointer(capsule, kTaskName)); }

}  // namespace

bool quicken_all_tasks(Module& module) {
  if (module.all_tasks_quickened) return true;
  module.all_tasks_quickened = true;
  Ref tasks = Ref::steal(PyImport_ImportModule("asyncio.tasks"));
  Ref weak_set = tasks ? Ref::steal(PyObject_GetAttrString(tasks.get(), "_all_tasks")) : Ref();
  PyObject* native = PyType_GetModule(reinterpret_cast<PyTypeObject*>(module.run_type.get()));
  Ref parts = weak_set && native != nullptr ? parts_of(weak_set.get(), native) : Ref();
  if (!parts) return !PyErr_Occurred();
  Ref remover = Ref::steal(PyCFunction_New(&kRemove, parts.get()));
  Ref bound = remover ? Ref::steal(PyTuple_Pack(2, parts.get(), remover.get())) : Ref();
  Ref adder = bound ? Ref::steal(PyCFunction_New(&kAdd, bound.get())) : Ref();
  if (!adder || PyObject_SetAttrString(weak_set.get(), "add", adder.get()) != 0) return false;
  module.all_tasks_data = Ref::share(part(parts.get(), kData));
  module.all_tasks_add = std::move(adder);
  return true;
}

bool FirstTask::open(Module& module) {
  if (!module.all_tasks_data) return false;
  auto** task = static_cast<PyObject**>(PyMem_Calloc(1, sizeof(PyObject*)));
  Ref capsule = task == nullptr ? Ref() : Ref::steal(PyCapsule_New(task, kTaskName, free_task));
  if (!capsule) PyMem_Free(task);
  Ref entry = capsule ? Ref::steal(PyCFunction_New(&kFirstTask, capsule.get())) : Ref();
  if (!entry || PySet_Add(module.all_tasks_data.get(), entry.get()) != 0) {
    PyErr_Clear();
    return false;
  }
  module_ = &module;
  entry_ = std::move(entry);
  task_ = task;
  return true;
}

void FirstTask::close() {
  forget();
  if (!entry_) return;
  *task_ = nullptr;
  ErrorKept kept;
  PyObject* data = module_->all_tasks_data.get();  // null: the interpreter ends
  if (data != nullptr && PySet_Discard(data, entry_.get()) < 0) PyErr_Clear();
  entry_.reset();
}

void FirstTask::expect(Module& module) {
  if (!entry_ && !open(module)) return;
  if (*task_ != nullptr) return;
  thread_ = PyThreadState_Get();
  module.first_task = this;
}

void FirstTask::forget() {
  if (module_ != nullptr && module_->first_task == this) module_->first_task = nullptr;
}

bool FirstTask::take(PyObject* task) {
  if (PyThreadState_Get() != thread_) return false;
  module_->first_task = nullptr;
  *task_ = task;
  return true;
}

void FirstTask::settle(bool goes_on) {
  forget();
  PyObject* task = task_ == nullptr ? nullptr : std::exchange(*task_, nullptr);
  if (task == nullptr || !goes_on || !module_->all_tasks_add) return;
  if (!Ref::steal(PyObject_CallOneArg(module_->all_tasks_add.get(), task))) PyErr_WriteUnraisable(task);
}

#else

bool quicken_all_tasks(Module&) { return true; }
void FirstTask::expect(Module&) {}
void FirstTask::forget() {}
void FirstTask::settle(bool) {}
bool FirstTask::take(PyObject*) { return false; }
void FirstTask::close() {}

#endif

}  // namespace fasterapi::asgi
