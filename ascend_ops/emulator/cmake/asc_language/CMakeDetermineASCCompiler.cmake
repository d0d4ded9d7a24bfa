# The compiler of the language ASC: bisheng of the emulated CANN that this file belongs to.
get_filename_component(ascendc_language "${CMAKE_CURRENT_LIST_FILE}" REALPATH)
get_filename_component(ascendc_language "${ascendc_language}" DIRECTORY)
get_filename_component(CMAKE_ASC_CANN "${ascendc_language}/../../../.." ABSOLUTE)
set(CMAKE_ASC_COMPILER "${CMAKE_ASC_CANN}/bin/bisheng" CACHE FILEPATH "Compiler of Ascend C")
mark_as_advanced(CMAKE_ASC_COMPILER)
set(CMAKE_ASC_COMPILER_ENV_VAR "ASC")

execute_process(
  COMMAND "${CMAKE_ASC_COMPILER}" --version
  RESULT_VARIABLE ascendc_result
  OUTPUT_VARIABLE ascendc_version
  ERROR_VARIABLE ascendc_error)
if(NOT ascendc_result EQUAL 0)
  message(FATAL_ERROR "CMAKE_ASC_COMPILER must be a bisheng that runs, got "
    "${CMAKE_ASC_COMPILER}: ${ascendc_error}${ascendc_result}")
endif()
string(REGEX MATCH "^[^\n]*" ascendc_version "${ascendc_version}")
message(STATUS "The ASC compiler is ${CMAKE_ASC_COMPILER} (${ascendc_version})")

set(_CMAKE_PROCESSING_LANGUAGE "ASC")
include(CMakeFindBinUtils)  # ar and ranlib, for projects without C and C++
unset(_CMAKE_PROCESSING_LANGUAGE)
configure_file("${ascendc_language}/CMakeASCCompiler.cmake.in"
  "${CMAKE_PLATFORM_INFO_DIR}/CMakeASCCompiler.cmake" @ONLY)
