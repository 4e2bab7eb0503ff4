// fasterapi._native: its state, its types, and live_objects(). Multi-phase initialisation
// (PEP 489), so each interpreter has its own.
#include "asgi/module.h"

#include <new>

#include "asgi/event_stream.h"
#include "asgi/guard.h"

namespace fasterapi::asgi {

namespace {

constexpr std::string_view kCommonHeaders[] = {"accept",
                                               "accept-charset",
                                               "accept-encoding",
                                               "accept-language",
                                               "access-control-request-headers",
                                               "access-control-request-method",
                                               "authorization",
                                               "baggage",
                                               "cache-control",
                                               "cdn-loop",
                                               "connection",
                                               "content-encoding",
                                               "content-length",
                                               "content-type",
                                               "cookie",
                                               "date",
                                               "dnt",
                                               "expect",
                                               "forwarded",
                                               "from",
                                               "host",
                                               "if-match",
                                               "if-modified-since",
                                               "if-none-match",
                                               "if-range",
                                               "if-unmodified-since",
                                               "keep-alive",
                                               "last-event-id",
                                               "max-forwards",
                                               "origin",
                                               "pragma",
                                               "priority",
                                               "proxy-authorization",
                                               "purpose",
                                               "range",
                                               "referer",
                                               "sec-ch-ua",
                                               "sec-ch-ua-mobile",
                                               "sec-ch-ua-platform",
                                               "sec-fetch-dest",
                                               "sec-fetch-mode",
                                               "sec-fetch-site",
                                               "sec-fetch-user",
                                               "sec-gpc",
                                               "te",
                                               "traceparent",
                                               "tracestate",
                                               "transfer-encoding",
                                               "upgrade",
                                               "upgrade-insecure-requests",
                                               "user-agent",
                                               "via",
                                               "x-api-key",
                                               "x-correlation-id",
                                               "x-csrf-token",
                                               "x-forwarded-for",
                                               "x-forwarded-host",
                                               "x-forwarded-port",
                                               "x-forwarded-proto",
                                               "x-real-ip",
                                               "x-request-id",
                                               "x-requested-with"};

constexpr std::string_view kCommonMethods[] = {"GET",    "HEAD",    "POST",  "PUT",
                                               "DELETE", "OPTIONS", "PATCH", "TRACE"};

Ref import_attribute(const char* module, const char* attribute) {
  Ref imported = Ref::steal(PyImport_ImportModule(module));
  if (!imported) return Ref();
  return Ref::steal(PyObject_GetAttrString(imported.get(), attribute));
}

bool load_attribute(Ref& slot, const char* module, const char* attribute) {
  slot = import_attribute(module, attribute);
  return static_cast<bool>(slot);
}

bool intern(PyObject*& slot, const char* text) {
  slot = PyUnicode_InternFromString(text);
  return slot != nullptr;
}

Module& state_of(PyObject* module) { return *static_cast<Module*>(PyModule_GetState(module)); }

PyObject* live_objects(PyObject* module, PyObject*) {
  Ref counts = Ref::steal(PyDict_New());
  if (!counts) return nullptr;
  const base::Ledger& ledger = state_of(module).ledger;
  for (std::size_t i = 0; i < base::kKindNames.size(); ++i) {
    std::size_t count = ledger.count(static_cast<base::Kind>(i));
    if (count == 0) continue;
    Ref number = Ref::steal(PyLong_FromSize_t(count));
    if (!number || PyDict_SetItemString(counts.get(), base::kKindNames[i].data(), number.get()) != 0)
      return nullptr;
  }
  return counts.release();
}

PyMethodDef kMethods[] = {
    {"live_objects", live_objects, METH_NOARGS,
     "live_objects() -> dict[str, int]\n\nLive native objects by kind, without the kinds that have none."},
    {"open_event_stream", guarded<&open_event_stream>, METH_O,
     "open_event_stream(send) -> EventStream, or None (docs/sse.md)."},
    {nullptr, nullptr, 0, nullptr}};

int execute(PyObject* module) {
  Module& state = *new (PyModule_GetState(module)) Module();
  if (state.load() != 0) return -1;
  if (PyModule_AddStringConstant(module, "__version__", FASTERAPI_VERSION) != 0) return -1;
  if (add_handle_types(module, state) != 0 || add_scheduler_type(module, state) != 0 ||
      add_awaitable_types(module, state) != 0 || add_run_type(module, state) != 0 ||
      add_http_cycle_type(module, state) != 0 || add_event_stream_type(module, state) != 0 ||
      add_websocket_cycle_type(module, state) != 0 || add_server_type(module, state) != 0 ||
      add_socket_transport_type(module, state) != 0) {
    return -1;
  }
  return 0;
}

PyModuleDef_Slot kSlots[] = {{Py_mod_exec, reinterpret_cast<void*>(execute)}, {0, nullptr}};

PyModuleDef kDefinition = {
    PyModuleDef_HEAD_INIT,
    "_native",
    "The compiled half of fasterapi.",
    sizeof(Module),
    kMethods,
    kSlots,
    [](PyObject* module, visitproc visit, void* arg) -> int {
      return PyModule_GetState(module) == nullptr ? 0 : state_of(module).traverse(visit, arg);
    },
    [](PyObject* module) -> int {
      if (PyModule_GetState(module) != nullptr) state_of(module).clear();
      return 0;
    },
    [](void* module) {
      auto* object = static_cast<PyObject*>(module);
      if (PyModule_GetState(object) == nullptr) return;
      state_of(object).clear();
      state_of(object).~Module();
    }};

}  // namespace

int Module::load() {
#define FASTERAPI_INTERN(name) \
  if (!intern(names.name, #name)) return -1;
  FASTERAPI_NAMES(FASTERAPI_INTERN)
#undef FASTERAPI_INTERN
#define FASTERAPI_INTERN(name, text) \
  if (!intern(names.name, text)) return -1;
  FASTERAPI_TEXTS(FASTERAPI_INTERN)
#undef FASTERAPI_INTERN
  if (!load_attribute(task_type, "asyncio", "Task") || !load_attribute(future_type, "asyncio", "Future") ||
      !load_attribute(cancelled_error, "asyncio", "CancelledError") ||
      !load_attribute(format_handle, "asyncio.base_events", "_format_handle") ||
      !load_attribute(extract_stack, "asyncio.format_helpers", "extract_stack") ||
      !load_attribute(format_callback, "asyncio.format_helpers", "_format_callback_source") ||
      !load_attribute(base_events, "asyncio", "base_events") ||
      !load_attribute(handle_class, "asyncio", "Handle") ||
      !load_attribute(timer_handle_class, "asyncio", "TimerHandle") ||
      !load_attribute(buffered_protocol, "asyncio", "BufferedProtocol") ||
      !load_attribute(socket_transport_class, "asyncio.selector_events", "_SelectorSocketTransport") ||
      !load_attribute(transport_socket, "asyncio.trsock", "TransportSocket") ||
      !load_attribute(set_result_unless_cancelled, "asyncio.futures", "_set_result_unless_cancelled") ||
      !load_attribute(sendfile_mode, "asyncio.constants", "_SendfileMode")) {
    return -1;
  }
  Ref base_loop = import_attribute("asyncio", "BaseEventLoop");
  if (base_loop) base_create_task = Ref::steal(PyObject_GetAttr(base_loop.get(), names.create_task));
  loop_keyword = Ref::steal(PyTuple_Pack(1, names.loop));
  loop_name_keywords = Ref::steal(PyTuple_Pack(2, names.loop, names.name));
  empty_bytes = to_bytes("");
  if (!base_create_task || !loop_keyword || !loop_name_keywords || !empty_bytes) return -1;
  for (std::string_view name : kCommonHeaders) {
    PyObject* bytes = to_bytes(name).release();
    if (bytes == nullptr) return -1;
    header_names.emplace(bytes_view(bytes), bytes);
  }
  for (std::string_view method : kCommonMethods) {
    PyObject* text = PyUnicode_InternFromString(method.data());
    if (text == nullptr) return -1;
    methods.emplace(method, text);
  }
  return 0;
}

void Module::clear() {
#define FASTERAPI_CLEAR(name, ...) Py_CLEAR(names.name);
  FASTERAPI_NAMES(FASTERAPI_CLEAR)
  FASTERAPI_TEXTS(FASTERAPI_CLEAR)
#undef FASTERAPI_CLEAR
  for (auto* table : {&header_names, &methods}) {
    for (auto& [key, object] : *table) Py_DECREF(object);
    table->clear();
  }
  for (Ref* ref : {&task_type,         &cancelled_error,
                   &format_handle,     &extract_stack,
                   &format_callback,   &base_events,
                   &handle_class,      &timer_handle_class,
                   &scheduler_type,    &handle_type,
                   &timer_handle_type, &completed_type,
                   &awaitable_type,    &run_type,
                   &http_cycle_type,   &websocket_cycle_type,
                   &server_type,       &client_disconnected,
                   &completed,         &empty_bytes,
                   &all_tasks_data,    &all_tasks_add,
                   &buffered_protocol, &socket_transport_class,
                   &transport_socket,  &set_result_unless_cancelled,
                   &sendfile_mode,     &socket_transport_type,
                   &event_stream_type}) {
    ref->reset();
  }
}

int Module::traverse(visitproc visit, void* arg) {
  for (Ref* ref : {&scheduler_type, &handle_type, &timer_handle_type, &completed_type, &awaitable_type,
                   &run_type, &http_cycle_type, &websocket_cycle_type, &server_type, &client_disconnected,
                   &completed, &socket_transport_type, &event_stream_type}) {
    Py_VISIT(ref->get());
  }
  return 0;
}

Module* module_of(PyTypeObject* type) {
  PyObject* bases = type->tp_mro;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(bases); ++i) {
    auto* base = reinterpret_cast<PyTypeObject*>(PyTuple_GET_ITEM(bases, i));
    if (!PyType_HasFeature(base, Py_TPFLAGS_HEAPTYPE)) continue;
    PyObject* module = PyType_GetModule(base);
    if (module == nullptr) {
      PyErr_Clear();  // a class of Python's own making
      continue;
    }
    if (PyModule_GetDef(module) == &kDefinition) return &state_of(module);
  }
  PyErr_SetString(PyExc_TypeError, "not a type of fasterapi._native");
  return nullptr;
}

int add_type(PyObject* module, PyType_Spec& spec, Ref& slot) {
  slot = Ref::steal(PyType_FromModuleAndSpec(module, &spec, nullptr));
  if (!slot) return -1;
  return PyModule_AddType(module, reinterpret_cast<PyTypeObject*>(slot.get()));
}

}  // namespace fasterapi::asgi

PyMODINIT_FUNC PyInit__native(void) { return PyModuleDef_Init(&fasterapi::asgi::kDefinition); }
