// What one import of fasterapi._native holds: interned strings, asyncio's types, our own types,
// the ledger. Every object of ours points to it; there are no other globals, so that
// sub-interpreters and free-threaded builds stay possible.
#pragma once

#include <string_view>
#include <unordered_map>
#include <vector>

#include "asgi/python.h"
#include "server/base/ledger.h"

namespace fasterapi::asgi {

// Strings that become attribute names, dictionary keys or constant values.
// clang-format off
#define FASTERAPI_NAMES(X) \
  X(type) X(asgi) X(version) X(spec_version) X(http_version) X(server) X(client) X(scheme) X(method) X(root_path) X(path) X(raw_path) X(query_string) \
  X(headers) X(state) X(status) X(body) X(more_body) X(http) X(https) X(context) X(loop) X(eager_start) X(done) X(set_result) X(create_future) X(create_task) \
  X(call_soon) X(call_later) X(cancel) X(add_reader) X(remove_reader) X(copy) X(error) X(warning) X(exc_info) X(message) X(exception) X(handle) \
  X(source_traceback) X(close) X(call_exception_handler) X(slow_callback_duration) X(time) X(_check_thread) X(_check_callback) \
  X(get_task_factory) X(extensions) X(trailers) X(more_trailers) X(name) X(_thread_id) X(__await__) X(callback) X(when) X(delay) X(logger) X(fileno) \
  X(text) X(bytes) X(code) X(reason) X(subprotocol) X(subprotocols) X(websocket) X(ws) X(wss) X(compress) X(socket) X(set_exception) \
  X(getsockname) X(getpeername) X(sockname) X(peername) X(_transports) X(_attach) X(_detach) X(connection_made) X(connection_lost) \
  X(data_received) X(eof_received) X(get_buffer) X(buffer_updated) X(pause_writing) X(resume_writing) X(transport) X(protocol) X(debug) X(join) \
  X(get) X(is_closing) X(data) X(event) X(id) X(retry)
// Those that are no C++ identifiers, under the names that they have here.
#define FASTERAPI_TEXTS(X) \
  X(http_request, "http.request") X(http_disconnect, "http.disconnect") X(http_trailers, "http.response.trailers") \
  X(websocket_connect, "websocket.connect") X(websocket_receive, "websocket.receive") X(websocket_disconnect, "websocket.disconnect") \
  X(websocket_response, "websocket.http.response") X(websocket_extension, "fasterapi.websocket") X(websocket_pong, "fasterapi.websocket.pong") \
  X(event_stream, "fasterapi.sse") \
  X(http_1_1, "1.1") X(http_1_0, "1.0") X(empty, "") X(throw_, "throw")
// clang-format on

struct Names {
#define FASTERAPI_NAME_MEMBER(name) PyObject* name = nullptr;
  FASTERAPI_NAMES(FASTERAPI_NAME_MEMBER)
#undef FASTERAPI_NAME_MEMBER
#define FASTERAPI_TEXT_MEMBER(name, text) PyObject* name = nullptr;
  FASTERAPI_TEXTS(FASTERAPI_TEXT_MEMBER)
#undef FASTERAPI_TEXT_MEMBER
};

class FirstTask;

struct Module {
  Names names;

  // From asyncio and collections.abc.
  Ref task_type;
  Ref future_type;
  Ref base_create_task;  // BaseEventLoop.create_task
  Ref cancelled_error;
  Ref format_handle;    // asyncio.base_events._format_handle
  Ref extract_stack;    // asyncio.format_helpers.extract_stack
  Ref format_callback;  // asyncio.format_helpers._format_callback_source
  Ref base_events;      // the module asyncio.base_events, for the logger that is there
  Ref handle_class;     // asyncio.Handle
  Ref timer_handle_class;
  Ref buffered_protocol;            // asyncio.BufferedProtocol
  Ref socket_transport_class;       // asyncio.selector_events._SelectorSocketTransport
  Ref transport_socket;             // asyncio.trsock.TransportSocket
  Ref set_result_unless_cancelled;  // asyncio.futures._set_result_unless_cancelled
  Ref sendfile_mode;                // asyncio.constants._SendfileMode.TRY_NATIVE

  // Our own.
  Ref scheduler_type;
  Ref handle_type;
  Ref timer_handle_type;
  Ref completed_type;
  Ref awaitable_type;
  Ref run_type;
  Ref http_cycle_type;
  Ref event_stream_type;
  Ref websocket_cycle_type;
  Ref server_type;
  Ref socket_transport_type;
  Ref client_disconnected;  // the OSError that send() raises once the client has gone

  Ref completed;  // the one awaitable that is always done, with None
  Ref empty_bytes;
  Ref loop_keyword;        // ("loop",), for vectorcall
  Ref loop_name_keywords;  // ("loop", "name")
  base::Ledger ledger;

  // Of asyncio's set of all tasks, before Python 3.12 (see all_tasks.h).
  bool all_tasks_quickened = false;
  Ref all_tasks_data;
  Ref all_tasks_add;
  FirstTask* first_task = nullptr;  // which expects a task to enter the set

  // Header names and methods seen before, so that each is made once. Bounded.
  std::unordered_map<std::string_view, PyObject*> header_names;
  std::unordered_map<std::string_view, PyObject*> methods;

  int load();  // fills everything but the types; -1 with an error set
  void clear();
  int traverse(visitproc visit, void* arg);
};

// The module that made `type` or one of its bases. Null with an error set.
Module* module_of(PyTypeObject* type);

// Adds the types of one file to the module. -1 with an error set.
int add_handle_types(PyObject* module, Module& state);
int add_scheduler_type(PyObject* module, Module& state);
int add_awaitable_types(PyObject* module, Module& state);
int add_run_type(PyObject* module, Module& state);
int add_http_cycle_type(PyObject* module, Module& state);
int add_event_stream_type(PyObject* module, Module& state);
int add_websocket_cycle_type(PyObject* module, Module& state);
int add_server_type(PyObject* module, Module& state);
int add_socket_transport_type(PyObject* module, Module& state);

// Makes a heap type that belongs to the module, and keeps it in `slot`.
int add_type(PyObject* module, PyType_Spec& spec, Ref& slot);

}  // namespace fasterapi::asgi
