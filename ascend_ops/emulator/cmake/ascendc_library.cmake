# Functions that make libraries of kernels, which ascendc.cmake and find_package(ASC) define.
#
# ASCENDC_CANN is the folder of the emulated CANN. ASCENDC_ARCH_OPTION is the option of bisheng for
# SOC_VERSION; it is empty with find_package(ASC), whose projects pass --npu-arch themselves. Both
# are global properties, since functions may be called in other directories than this file.
get_filename_component(ascendc_modules "${CMAKE_CURRENT_LIST_FILE}" REALPATH)
get_filename_component(ascendc_modules "${ascendc_modules}" DIRECTORY)
get_filename_component(ascendc_cann "${ascendc_modules}/../../.." ABSOLUTE)
set_property(GLOBAL PROPERTY ASCENDC_CANN "${ascendc_cann}")
include("${ascendc_modules}/socs.cmake")
list(APPEND CMAKE_MODULE_PATH "${ascendc_modules}/asc_language")
list(REMOVE_DUPLICATES CMAKE_MODULE_PATH)

# Refuse the modes in which CANN runs kernels without a device.
function(ascendc_check_run_mode variable)
  if(NOT "${${variable}}" STREQUAL "npu")
    message(FATAL_ERROR "${variable} must be npu, got \"${${variable}}\". The emulated CANN has "
      "neither CANN's CPU library nor its simulator: with -D${variable}=npu, kernels run on the "
      "emulated AI core, which needs no device.")
  endif()
endfunction()

# Compile the kernels of ascendc_library for a SoC.
function(ascendc_set_soc soc)
  string(TOLOWER "${soc}" lower)
  set(known "")
  foreach(row IN LISTS ASCENDC_SOCS)
    string(REGEX MATCH "^([^:]+):(.+)$" row "${row}")
    set(prefix "${CMAKE_MATCH_1}")
    set(arch "${CMAKE_MATCH_2}")
    string(APPEND known " ${prefix}* (${arch})")
    string(TOLOWER "${prefix}" lower_prefix)
    if(lower MATCHES "^${lower_prefix}.")
      set_property(GLOBAL PROPERTY ASCENDC_ARCH_OPTION "--npu-arch=${arch}")
      return()
    endif()
  endforeach()
  message(FATAL_ERROR "SOC_VERSION must be the whole name of a SoC, one of${known}, got "
    "\"${soc}\". For example: -DSOC_VERSION=Ascend910B2.")
endfunction()

# ascendc_library(<name> STATIC|SHARED <source>...): kernels and, for each kernel, the function that
# launches it, which <build>/include/<name>/aclrtlaunch_<kernel>.h declares.
function(ascendc_library name type)
  string(TOUPPER "${type}" upper_type)
  if(NOT upper_type MATCHES "^(STATIC|SHARED)$")
    message(FATAL_ERROR "ascendc_library: the type of ${name} must be STATIC or SHARED, got "
      "${type}. For a binary that a program loads, use ascendc_fatbin_library.")
  endif()
  if(NOT ARGN)
    message(FATAL_ERROR "ascendc_library: ${name} must have at least one source")
  endif()
  get_property(cann GLOBAL PROPERTY ASCENDC_CANN)
  get_property(arch GLOBAL PROPERTY ASCENDC_ARCH_OPTION)
  set(headers "${CMAKE_BINARY_DIR}/include/${name}")
  file(MAKE_DIRECTORY "${headers}")

  # Objects of their own, since bisheng writes the headers while it compiles. What includes the
  # headers must wait for the objects: Ninja would only wait for custom targets.
  set_source_files_properties(${ARGN} PROPERTIES LANGUAGE ASC)
  add_library(${name}_ascendc_objects OBJECT ${ARGN})
  set_target_properties(${name}_ascendc_objects PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_compile_options(${name}_ascendc_objects PRIVATE ${arch} "--aicore-launch-functions=${headers}"
    $<TARGET_PROPERTY:${name},COMPILE_OPTIONS>)
  target_compile_definitions(${name}_ascendc_objects PRIVATE
    $<TARGET_PROPERTY:${name},COMPILE_DEFINITIONS>)
  target_include_directories(${name}_ascendc_objects PRIVATE
    $<TARGET_PROPERTY:${name},INCLUDE_DIRECTORIES>)
  add_custom_target(${name}_ascendc_headers DEPENDS $<TARGET_OBJECTS:${name}_ascendc_objects>)
  add_dependencies(${name}_ascendc_headers ${name}_ascendc_objects)

  add_library(${name} ${upper_type} $<TARGET_OBJECTS:${name}_ascendc_objects>)
  add_dependencies(${name} ${name}_ascendc_headers)
  set_target_properties(${name} PROPERTIES
    LINKER_LANGUAGE ASC
    ARCHIVE_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib"
    LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib")
  target_include_directories(${name} INTERFACE "${headers}" "${cann}/include")
  target_link_directories(${name} PUBLIC "${cann}/lib64")
  target_link_libraries(${name} PUBLIC ascendc_emulated ascendcl
    INTERFACE tiling_api register platform c_sec dl)

  include(GNUInstallDirs)
  install(TARGETS ${name}
    LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
  install(DIRECTORY "${CMAKE_BINARY_DIR}/include/" DESTINATION include)
endfunction()

# ascendc_fatbin_library(<name> <source>...): the binary <name>.o, for aclrtBinaryLoadFromFile. With
# ascendc.cmake it is built in the install folder, as CANN's does.
function(ascendc_fatbin_library name)
  if(NOT ARGN)
    message(FATAL_ERROR "ascendc_fatbin_library: ${name} must have at least one source")
  endif()
  get_property(arch GLOBAL PROPERTY ASCENDC_ARCH_OPTION)
  set(folder "${CMAKE_CURRENT_BINARY_DIR}")
  if(arch)
    set(folder "${CMAKE_INSTALL_PREFIX}/fatbin/${name}")
  endif()
  set_source_files_properties(${ARGN} PROPERTIES LANGUAGE ASC)
  add_library(${name} MODULE ${ARGN})
  target_compile_options(${name} PRIVATE ${arch} --cce-aicore-only)
  set_target_properties(${name} PROPERTIES
    LINKER_LANGUAGE ASC
    PREFIX ""
    SUFFIX ".o"
    LIBRARY_OUTPUT_DIRECTORY "${folder}")
endfunction()

function(ascendc_compile_definitions name scope)
  ascendc_check_scope(ascendc_compile_definitions "${scope}")
  get_target_property(type ${name} TYPE)
  if(type STREQUAL "MODULE_LIBRARY" AND "${ARGN}" MATCHES "HAVE_WORKSPACE")
    message(FATAL_ERROR "ascendc_compile_definitions: HAVE_WORKSPACE is emulated for "
      "ascendc_library only, and ${name} is a binary. Pass the kernel a pointer behind the "
      "system's part of the workspace instead.")
  endif()
  target_compile_definitions(${name} ${scope} ${ARGN})
endfunction()

function(ascendc_include_directories name scope)
  ascendc_check_scope(ascendc_include_directories "${scope}")
  target_include_directories(${name} ${scope} ${ARGN})
endfunction()

# The options before -forward-options-to-host-compiler are for the device, those behind it for the
# host. Here one compiler takes both.
function(ascendc_compile_options name scope)
  ascendc_check_scope(ascendc_compile_options "${scope}")
  set(options "")
  set(before "")
  foreach(option IN LISTS ARGN)
    if(option STREQUAL "-mllvm")
      set(before "SHELL:-mllvm ")  # CMake would drop a second -mllvm
    elseif(NOT option STREQUAL "-forward-options-to-host-compiler")
      list(APPEND options "${before}${option}")
      set(before "")
    endif()
  endforeach()
  target_compile_options(${name} ${scope} ${options})
endfunction()

function(ascendc_check_scope function scope)
  if(NOT scope MATCHES "^(PRIVATE|PUBLIC|INTERFACE)$")
    message(FATAL_ERROR "${function}: the second argument must be PRIVATE, PUBLIC or INTERFACE, "
      "got \"${scope}\"")
  endif()
endfunction()
