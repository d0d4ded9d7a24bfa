# find_package(ASC): the language ASC, for project(name LANGUAGES ASC CXX), and ascendc_library.
get_filename_component(ascendc_modules "${CMAKE_CURRENT_LIST_FILE}" REALPATH)
get_filename_component(ascendc_modules "${ascendc_modules}" DIRECTORY)
include("${ascendc_modules}/ascendc_library.cmake")
include("${ascendc_modules}/op_packages.cmake")
if(DEFINED CMAKE_ASC_RUN_MODE)
  ascendc_check_run_mode(CMAKE_ASC_RUN_MODE)
endif()
