# fasterapi_room(NAME SOURCES ... LINKS ... TESTS ...)
# One room of docs/design.md is one static library that links only what it may use; its
# *_test.cc files become one GoogleTest executable beside it.
function(fasterapi_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;LINKS;PRIVATE_LINKS;TESTS" ${ARGN})
  add_library(fasterapi_${name} STATIC ${ROOM_SOURCES})
  target_include_directories(fasterapi_${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(fasterapi_${name} PUBLIC ${ROOM_LINKS} PRIVATE fasterapi_warnings ${ROOM_PRIVATE_LINKS})
  if(FASTERAPI_TESTS AND ROOM_TESTS)
    add_executable(${name}_test ${ROOM_TESTS})
    target_link_libraries(${name}_test PRIVATE fasterapi_${name} fasterapi_warnings ${ROOM_PRIVATE_LINKS} GTest::gtest GTest::gtest_main)
    add_test(NAME ${name}_test COMMAND ${name}_test)
  endif()
endfunction()
