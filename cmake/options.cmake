# How every target is compiled. Sanitizers and coverage come from the presets.
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)

set(KEYWARD_SANITIZE "" CACHE STRING "Sanitizers, as given to -fsanitize=")
option(KEYWARD_COVERAGE "Instrument for coverage" OFF)
option(KEYWARD_FUZZ "Build the fuzz targets with libFuzzer (needs clang)" OFF)

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
endif()

add_library(keyward_options INTERFACE)
target_include_directories(keyward_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(keyward_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Wold-style-cast
  -Wcast-qual -Wnull-dereference -Wimplicit-fallthrough -Werror
  -fstack-protector-strong -fno-omit-frame-pointer)
# GCC 12 reports impossible overflows inside std::vector at -O2.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(keyward_options INTERFACE
    -Wno-null-dereference -Wno-stringop-overflow -Wno-array-bounds -Wno-maybe-uninitialized
    -Wno-restrict -Wno-stringop-overread -fstack-clash-protection -fcf-protection)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT KEYWARD_SANITIZE)
  target_compile_definitions(keyward_options INTERFACE _FORTIFY_SOURCE=2 _GLIBCXX_ASSERTIONS)
endif()
target_link_options(keyward_options INTERFACE -Wl,-z,relro,-z,now)

if(KEYWARD_SANITIZE)
  add_compile_options(-fsanitize=${KEYWARD_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${KEYWARD_SANITIZE})
endif()
if(KEYWARD_COVERAGE)
  add_compile_options(--coverage)
  add_link_options(--coverage)
endif()
if(KEYWARD_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# keyward_library(<name> SOURCES ... LINK ... [PRIVATE_LINK ...]): one room, one static library.
function(keyward_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;PRIVATE_LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC keyward_options ${ARG_LINK} PRIVATE ${ARG_PRIVATE_LINK})
endfunction()

# keyward_test(<name> SOURCES ... LINK ... [LABELS ...]): a GoogleTest program, each case a ctest test.
function(keyward_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE keyward_options ${ARG_LINK} GTest::gmock GTest::gtest_main)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT 120 LABELS "${ARG_LABELS}")
endfunction()
