# The self-standing executable: CPython embedded, the same rooms linked in, and what it needs
# installed beside it:
#   <prefix>/bin/fasterapi
#   <prefix>/lib/fasterapi/fasterapi/   the package; its _native*.so serves spawned children, which
#                                       are plain Python processes
#   <prefix>/lib/fasterapi/vendor/      click from PyPI, at install time; the environment's own
#                                       comes before it
# Included by asgi/CMakeLists.txt after fasterapi_asgi and _native.
if(NOT Python3_Development.Embed_FOUND)
  message(FATAL_ERROR "FASTERAPI_EXECUTABLE needs the library of Python ${Python3_VERSION} to embed "
                      "(Debian: python3-dev; pyenv: PYTHON_CONFIGURE_OPTS=--enable-shared)")
endif()

# What the embedded interpreter must be told, since its own executable is not python.
execute_process(
  COMMAND ${Python3_EXECUTABLE} -c
          "import os, sys; v = '%d.%d' % sys.version_info[:2]; \
print(sys.base_prefix, sys.base_exec_prefix, os.path.join(sys.base_exec_prefix, 'bin', 'python' + v), sep=';')"
  OUTPUT_VARIABLE FASTERAPI_BASE_PYTHON OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
list(GET FASTERAPI_BASE_PYTHON 0 FASTERAPI_BASE_PREFIX)
list(GET FASTERAPI_BASE_PYTHON 1 FASTERAPI_BASE_EXEC_PREFIX)
list(GET FASTERAPI_BASE_PYTHON 2 FASTERAPI_BASE_EXECUTABLE)

add_executable(fasterapi_executable ${PROJECT_SOURCE_DIR}/asgi/main.cc)
set_target_properties(fasterapi_executable PROPERTIES
  OUTPUT_NAME fasterapi
  INSTALL_RPATH_USE_LINK_PATH ON) # a libpython outside the system's folders, pyenv's for one
target_compile_definitions(fasterapi_executable PRIVATE
  FASTERAPI_BASE_PREFIX="${FASTERAPI_BASE_PREFIX}"
  FASTERAPI_BASE_EXEC_PREFIX="${FASTERAPI_BASE_EXEC_PREFIX}"
  FASTERAPI_BASE_EXECUTABLE="${FASTERAPI_BASE_EXECUTABLE}")
target_link_libraries(fasterapi_executable PRIVATE fasterapi_asgi fasterapi_warnings)
if(Python3_LIBRARIES MATCHES "\\.a$")
  # Other extension modules look for all of Python's symbols in the executable.
  set_target_properties(fasterapi_executable PROPERTIES ENABLE_EXPORTS ON)
  target_link_libraries(fasterapi_executable PRIVATE
    -Wl,--whole-archive ${Python3_LIBRARIES} -Wl,--no-whole-archive ${CMAKE_DL_LIBS} m util)
  target_include_directories(fasterapi_executable PRIVATE ${Python3_INCLUDE_DIRS})
else()
  target_link_libraries(fasterapi_executable PRIVATE Python3::Python)
endif()

set(FASTERAPI_HOME lib/fasterapi)
install(TARGETS fasterapi_executable RUNTIME DESTINATION bin COMPONENT executable)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/fasterapi DESTINATION ${FASTERAPI_HOME} COMPONENT executable
  FILES_MATCHING PATTERN "*.py" PATTERN "*.pyi" PATTERN "py.typed" PATTERN "*.js" PATTERN "__pycache__" EXCLUDE)
if(TARGET _native)
  install(TARGETS _native LIBRARY DESTINATION ${FASTERAPI_HOME}/fasterapi COMPONENT executable)
endif()
set(FASTERAPI_CLICK "click>=8.1,<9")
install(CODE "
  set(home \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${FASTERAPI_HOME}\")
  if(NOT EXISTS \"\${home}/vendor/click/__init__.py\")
    message(STATUS \"Installing ${FASTERAPI_CLICK} into \${home}/vendor\")
    execute_process(
      COMMAND \"${Python3_EXECUTABLE}\" -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps
              --target \"\${home}/vendor\" \"${FASTERAPI_CLICK}\"
      COMMAND_ERROR_IS_FATAL ANY)
  endif()
  execute_process(COMMAND \"${Python3_EXECUTABLE}\" -m compileall -q \"\${home}\")
" COMPONENT executable)
